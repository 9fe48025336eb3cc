import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** Linux counts in hundredths of a second, whatever the kernel's own clock is. */
const TICK_MS = 10;

/** User and system time that a process has used with all its threads, those that ended included; ms, in steps of 10. */
export function cpuOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The name, in parentheses, may hold anything; utime and stime are fields 14 and 15, the name is field 2.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

const LOOK_EVERY_MS = 250;
const PATIENCE_MS = 60_000;

/** Waits until a process has nothing left to do: threads that are still starting would count as work on requests. */
export async function idle(pid: number): Promise<void> {
  const giveUp = performance.now() + PATIENCE_MS;
  for (let before = cpuOf(pid); ; ) {
    await sleep(LOOK_EVERY_MS);
    const now = cpuOf(pid);
    if (now - before <= TICK_MS) return;
    if (performance.now() > giveUp) throw new Error(`process ${pid} does not come to rest`);
    before = now;
  }
}
