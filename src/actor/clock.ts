/** Time as the daemon sees it; passed in, so that a test can move it. */
export interface Clock {
  /** Wall-clock time, ms since the epoch. Jumps when an administrator sets it. */
  now(): number;
  /** Milliseconds on a clock that never jumps and is the same in every thread of the process. */
  mono(): number;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  // performance.now() starts anew in each worker; hrtime is the system's monotonic clock everywhere.
  mono: () => {
    const [seconds, nanos] = process.hrtime();
    return seconds * 1000 + nanos / 1e6;
  },
};

/** `created_at` of an event made now, s. */
export function unixNow(clock: Clock): number {
  return Math.floor(clock.now() / 1000);
}
