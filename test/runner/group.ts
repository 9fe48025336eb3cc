import { readdirSync, readFileSync } from 'node:fs';

/** Ends every process of a group that we started. */
export function killGroup(leader: number): void {
  try {
    process.kill(-leader, 'SIGKILL');
  } catch {
    // The group is empty.
  }
}

/** Command lines of the group's processes that still run; processes that ended and wait for their parent do not count. */
export function groupMembers(leader: number): string[] {
  try {
    process.kill(-leader, 0);
  } catch {
    return [];
  }
  const members: string[] = [];
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      // proc(5): the name, field 2, may hold anything; after it come state, parent and process group.
      const [state, , group] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      if (Number(group) !== leader || state === 'Z' || state === 'X') continue;
      members.push(`${pid} ${readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim()}`);
    } catch {
      // It ended while we looked.
    }
  }
  return members;
}
