import { readFileSync } from 'node:fs';
import type { Libc } from './libc.ts';

/** prctl(2) */
const PR_SET_DUMPABLE = 4;

/**
 * Keeps the process's memory off the disk: no diagnostic reports, no core dumps, and no debugger of the same user.
 *
 * @returns what the operator should know, in one line; null when all is well
 */
export function refuseDumps(libc: Libc | null): string | null {
  const { report } = process;
  report.reportOnFatalError = false;
  report.reportOnUncaughtException = false;
  report.reportOnSignal = false;
  const undumpable = libc?.prctl(PR_SET_DUMPABLE, 0) === 0;
  if (coreLimit() === '0') return null;
  const advice = 'set it to 0 (LimitCORE=0, ulimit -c 0)';
  return undumpable
    ? `the core dump limit is not 0: the process has made itself undumpable, but ${advice} all the same`
    : `the core dump limit is not 0: a crash would write keys to the disk; ${advice}`;
}

/** The soft limit as proc(5) writes it; `0` where the system does not tell. */
function coreLimit(): string {
  try {
    const line = readFileSync('/proc/self/limits', 'utf8')
      .split('\n')
      .find((line) => line.startsWith('Max core file size'));
    return line?.split(/\s{2,}/)[1] ?? '0';
  } catch {
    return '0';
  }
}
