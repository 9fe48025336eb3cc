import { readdirSync, readFileSync } from 'node:fs';

const TICK_MS = 10;

/** CPU time, ms, of a process's threads by their name; those of one name are added up. The first thread is `main`. */
export function threadTimes(pid: number): Map<string, number> {
  const times = new Map<string, number>();
  for (const id of readdirSync(`/proc/${pid}/task`)) {
    const stat = statOf(pid, id);
    if (stat === null) continue;
    const name = id === String(pid) ? 'main' : stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'));
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const ms = (Number(fields[11]) + Number(fields[12])) * TICK_MS;
    times.set(name, (times.get(name) ?? 0) + ms);
  }
  return times;
}

/** Null when the thread has ended meanwhile. */
function statOf(pid: number, id: string): string | null {
  try {
    return readFileSync(`/proc/${pid}/task/${id}/stat`, 'utf8');
  } catch {
    return null;
  }
}
