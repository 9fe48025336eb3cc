import { readdirSync, readFileSync } from 'node:fs';

/** Resident memory of a process, MiB. */
export function rssOf(pid: number): number {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kib) / 1024;
}

/** Threads that a process has now. */
export function threadsOf(pid: number): number {
  return readdirSync(`/proc/${pid}/task`).length;
}
