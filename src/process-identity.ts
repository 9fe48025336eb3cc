import { readFileSync } from 'node:fs';

/** Tells a process from a later one that was given the same process id. */
export interface ProcessIdentity {
  pid: number;
  /** The boot and the clock tick that it started in; null where the system does not tell. */
  started: string | null;
}

export function processIdentity(pid: number): ProcessIdentity {
  const stat = readStat(pid);
  return { pid, started: stat === null ? null : stat.started };
}

/** True while that very process runs; one that ended and waits for its parent runs no more. */
export function isRunning({ pid, started }: ProcessIdentity): boolean {
  if (pid <= 0) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: it is there and another user's.
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  const stat = readStat(pid);
  if (stat === null) return true;
  if (stat.state === 'Z' || stat.state === 'X') return false;
  return started === null || started === stat.started;
}

/** proc(5): field 2, the name, may hold anything; 3 is the state and 22 the start in clock ticks since the boot. */
function readStat(pid: number): { state: string; started: string } | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
    return { state: fields[0] as string, started: `${boot}/${fields[19]}` };
  } catch {
    return null;
  }
}
