import type { Libc } from './libc.ts';

/** mallopt(3); sizes in bytes. Measured: docs/PERFORMANCE.md */
const OPTIONS = [
  // M_ARENA_MAX: glibc gives each thread an arena of its own to allocate from, and each keeps what it once needed. Two
  // make threads hardly ever wait for each other.
  { option: -8, value: 2 },
  // M_MMAP_THRESHOLD and M_TRIM_THRESHOLD: as they are at first. Left alone they grow with the largest block that was
  // ever freed, and tables that have been replaced by larger ones stay behind as holes.
  { option: -3, value: 131_072 },
  { option: -1, value: 131_072 },
];

/**
 * Has the C library give memory back. To be called before threads start; without effect where it is not glibc.
 */
export function giveMemoryBack(libc: Libc | null): void {
  for (const { option, value } of OPTIONS) libc?.mallopt?.(option, value);
}

/**
 * Gives back every free page, also between blocks that are in use. For when the process is at rest: an arena is locked for
 * the milliseconds that it takes.
 */
export function giveFreePagesBack(libc: Libc | null): void {
  libc?.malloc_trim?.(0);
}
