import { createRequire } from 'node:module';

/** The few calls of the system's C library that Node does not have. Errors are negative numbers. */
export interface Libc {
  prctl(option: number, value: number): number;
  socket(domain: number, type: number, protocol: number): number;
  sendto(fd: number, data: Uint8Array, length: number, flags: number, to: Uint8Array, toLength: number): number;
  close(fd: number): number;
}

/** Through koffi; null where that does not load. */
export function loadLibc(): Libc | null {
  if (process.platform !== 'linux') return null;
  try {
    const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
    // The process itself is linked against it, whichever C library the system has.
    const library = koffi.load(null);
    const prctl = library.func('int prctl(int, unsigned long, unsigned long, unsigned long, unsigned long)');
    return {
      prctl: (option, value) => prctl(option, value, 0, 0, 0),
      socket: library.func('int socket(int, int, int)'),
      sendto: library.func('long sendto(int, const void *, size_t, int, const void *, uint32_t)'),
      close: library.func('int close(int)'),
    };
  } catch {
    return null;
  }
}
