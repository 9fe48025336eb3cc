/** What a process holds and takes, read from /proc. */
import { readdirSync, readFileSync } from 'node:fs';

export interface Sample {
  rssMiB: number;
  handles: number;
  threads: number;
  /** s of processor time so far */
  cpu: number;
}

const TICKS_PER_SECOND = 100;

export function sample(pid: number): Sample {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const field = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)![1]);
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // proc(5): after the name in brackets utime and stime are the 12th and 13th.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return {
    rssMiB: field('VmRSS') / 1024,
    handles: readdirSync(`/proc/${pid}/fd`).length,
    threads: field('Threads'),
    cpu: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND,
  };
}

/** @returns 0 of nothing */
export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0;
}

/** The first and the last sixth of a series. */
export function sixths<T>(series: readonly T[]): { first: T[]; last: T[] } {
  const length = Math.max(1, Math.floor(series.length / 6));
  return { first: series.slice(0, length), last: series.slice(-length) };
}
