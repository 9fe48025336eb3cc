import { Worker } from 'node:worker_threads';
import type { Open } from './protocol.ts';

export interface ThreadOptions {
  /** Open values only: the main thread keeps a copy. */
  workerData?: Open;
  /** MiB */
  oldGenerationMb?: number;
  /** MiB; V8's own choice when left out. */
  youngGenerationMb?: number | undefined;
  name: string;
}

/**
 * Starts a worker thread as every actor gets it: an empty environment (the process's may hold a passphrase), no
 * arguments, and a bounded heap, so that one actor's leak ends that actor and not the process.
 */
export function startThread(file: string, options: ThreadOptions): Worker {
  return new Worker(file, {
    env: {},
    argv: [],
    execArgv: [],
    stdin: false,
    name: options.name,
    workerData: options.workerData ?? null,
    resourceLimits: {
      ...(options.oldGenerationMb === undefined ? {} : { maxOldGenerationSizeMb: options.oldGenerationMb }),
      ...(options.youngGenerationMb === undefined ? {} : { maxYoungGenerationSizeMb: options.youngGenerationMb }),
    },
  });
}
