/** Loaded first in every thread of clocked-daemon.ts: the daemon's clock, moved by what all of them share. */
import { getEnvironmentData, isMainThread } from 'node:worker_threads';
import { systemClock } from '../../src/actor/clock.ts';

export const CLOCK_SHIFT = 'test clock shift, ms';

/** @param shift ms that the wall clock is ahead, and ms that the monotonic one is */
export function moveClock(shift: Float64Array): void {
  const { now, mono } = systemClock;
  systemClock.now = () => now() + shift[0]!;
  systemClock.mono = () => mono() + shift[1]!;
}

if (!isMainThread) moveClock(getEnvironmentData(CLOCK_SHIFT) as unknown as Float64Array);
