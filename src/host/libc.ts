import { loadKoffi } from './koffi.ts';

/** The few calls of the system's C library that Node does not have. Errors are negative numbers. */
export interface Libc {
  prctl(option: number, value: number): number;
  socket(domain: number, type: number, protocol: number): number;
  sendto(fd: number, data: Uint8Array, length: number, flags: number, to: Uint8Array, toLength: number): number;
  close(fd: number): number;
  /** glibc's own; 0 is its error. */
  mallopt?(option: number, value: number): number;
  /** glibc's own. @param keep bytes at the end of the first arena @returns 1 when pages were given back */
  malloc_trim?(keep: number): number;
}

/** A function that not every C library has. */
function optional<F>(name: string, find: () => F): { [name: string]: F } {
  try {
    return { [name]: find() };
  } catch {
    return {};
  }
}

/** Through koffi; null where that does not load. */
export function loadLibc(): Libc | null {
  if (process.platform !== 'linux') return null;
  try {
    // The process itself is linked against it, whichever C library the system has.
    const library = loadKoffi().load(null);
    const prctl = library.func('int prctl(int, unsigned long, unsigned long, unsigned long, unsigned long)');
    return {
      prctl: (option, value) => prctl(option, value, 0, 0, 0),
      socket: library.func('int socket(int, int, int)'),
      sendto: library.func('long sendto(int, const void *, size_t, int, const void *, uint32_t)'),
      close: library.func('int close(int)'),
      ...optional('mallopt', () => library.func('int mallopt(int, int)')),
      ...optional('malloc_trim', () => library.func('int malloc_trim(size_t)')),
    };
  } catch {
    return null;
  }
}
