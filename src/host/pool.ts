import { Piscina } from 'piscina';

/** How long a thread without work stays, ms. */
const IDLE_MS = 5_000;

/** Threads for work that has no key of its own: they come with it, and go when there is none. */
export function makePool(options: {
  /** Path of the worker entry. */
  filename: string;
  maxThreads: number;
  /** Tasks that wait at most; one more is refused. */
  maxQueue: number;
  workerData?: unknown;
  resourceLimits?: { maxOldGenerationSizeMb: number; maxYoungGenerationSizeMb: number };
}): Piscina {
  const pool = new Piscina({
    ...options,
    minThreads: 0,
    idleTimeout: IDLE_MS,
    // An idle thread that waits in Atomics hears neither timers nor ports.
    atomics: 'disabled',
    env: {},
  });
  // A thread that dies between two tasks is replaced when the next one comes.
  pool.on('error', () => {});
  return pool;
}
