import { setFlagsFromString } from 'node:v8';

const FLAGS = [
  // V8 throws bytecode away that has not run for some collections, though its compiled form is in use: a key's thread
  // then compiles the same functions again and again, for a tenth of what a request costs.
  '--no-flush-bytecode',
  // A heap may grow by so much of what lives in it before the next full collection; by itself V8 lets small ones grow
  // to several times that, and what was garbage stays resident.
  '--heap-growing-percent=30',
  // When a thread has collected at rest (rest.ts), V8 would do it twice more some seconds later: 25 ms each, for nothing.
  '--no-memory-reducer',
  // Each thread would have its own view of V8's built-in functions, for calls that are a little shorter: no gain that could
  // be measured, and up to 1.7 MiB a thread.
  '--no-short-builtin-calls',
  // What the process may have been started with is for the main thread (docs/INSTALL.md): it would take the place of
  // each thread's own limit.
  '--max-semi-space-size=0',
];

/** To be called before any thread starts. Measured: docs/PERFORMANCE.md */
export function setV8Flags(): void {
  for (const flag of FLAGS) setFlagsFromString(flag);
}
