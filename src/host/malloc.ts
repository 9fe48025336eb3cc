import type { Libc } from './libc.ts';

/** mallopt(3) */
const M_ARENA_MAX = -8;
/** As many as make threads hardly ever wait for each other; measured: bench/findings.md. */
const ARENAS = 2;

/**
 * glibc gives each thread an arena of its own to allocate from, and each keeps what it once needed. To be called before
 * threads start; without effect where the C library has no arenas.
 */
export function shareArenas(loadLibc: () => Libc | null): void {
  loadLibc()?.mallopt?.(M_ARENA_MAX, ARENAS);
}
