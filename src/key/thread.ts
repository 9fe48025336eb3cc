import { setTimeout as sleep } from 'node:timers/promises';
import type { Worker } from 'node:worker_threads';
import { Link } from '../actor/link.ts';
import { ActorError, type Handlers } from '../actor/protocol.ts';
import { startThread } from '../actor/thread.ts';
import type { CurveName } from '../curve/curve.ts';
import type { StageReport } from '../metrics/stage-times.ts';
import type { LogLine } from '../policy/protocol.ts';
import type { KeyToMain, MainToKey } from './protocol.ts';

/** How long a thread may take to overwrite its key before it is ended anyway, ms. */
const WIPE_MS = 100;
/** How long a thread that is to end may go on loading first, ms. */
const LOAD_MS = 1_000;

/** What a blank thread is started with: its backend, and whether it warms up before it says that it is ready. */
export type BlankStart = { curve: CurveName; warm: boolean };

/** What the owner of an active thread hears from it. */
export interface ThreadEvents {
  verified(seq: number, id: string): void;
  done: Handlers<KeyToMain>['done'];
  pending(seq: number): void;
  admins: Handlers<KeyToMain>['admins'];
  /** The thread ended and nobody had asked it to. */
  crashed(reason: string): void;
}

/** A thread of workers/key.ts: blank at first, then for good the actor of one key. */
export class KeyThread {
  readonly link: Link<MainToKey, KeyToMain>;
  /** Resolves when the backend is loaded, and warm if it was to be; false when the thread ended before. */
  readonly ready: Promise<boolean>;
  #isReady = false;
  /** Gives its place to another key, though the thread goes on. */
  leavePlace: () => void = () => {};
  /** Resolves when the thread is gone. */
  readonly gone: Promise<void>;
  readonly #worker: Worker;
  #events: ThreadEvents | undefined;
  #ending = false;
  #reason = '';

  constructor(file: string, start: BlankStart, log: (line: LogLine) => void, times: (report: StageReport) => void) {
    // Measured: 3 MiB of young generation keep a thread as small as 2 do; with 4 it is 1.5 MiB larger.
    this.#worker = startThread(file, {
      name: 'key',
      workerData: start,
      youngGenerationMb: 3,
      oldGenerationMb: 96,
    });
    const { promise, resolve } = Promise.withResolvers<boolean>();
    this.ready = promise;
    this.link = new Link<MainToKey, KeyToMain>(this.#worker, {
      ready: () => {
        this.#isReady = true;
        resolve(true);
      },
      verified: ({ seq, id }) => this.#events?.verified(seq, id),
      done: (done) => this.#events?.done(done),
      times: ({ report }) => times(report),
      pending: ({ seq }) => this.#events?.pending(seq),
      admins: () => {
        if (this.#events === undefined) throw new ActorError('failed', 'admins: this thread holds no key');
        return this.#events.admins(null);
      },
      log,
    });
    this.#worker.on('error', (error: Error & { code?: string }) => {
      this.#reason = error.code === undefined ? error.name : `${error.name} ${error.code}`;
    });
    const gone = Promise.withResolvers<void>();
    this.gone = gone.promise;
    this.#worker.on('exit', (code) => {
      resolve(false);
      gone.resolve();
      if (!this.#ending) this.#events?.crashed(this.#reason || `exit code ${code}`);
    });
  }

  /** Somebody waits for it: it is ready soon, and less warm. */
  hurry(): void {
    if (!this.#isReady) this.link.tell('hurry', null);
  }

  /** From now on this thread belongs to one key. */
  own(events: ThreadEvents): void {
    this.#events = events;
  }

  /** Has the key overwritten, then ends the thread; a thread that does not answer is ended all the same. */
  async end(): Promise<void> {
    if (this.#ending) return;
    this.#ending = true;
    // Ended while it loads a native library, a thread may take the process with it.
    await Promise.race([this.ready, sleep(LOAD_MS, undefined, { ref: false })]);
    await this.link.ask('wipe', null, { timeoutMs: WIPE_MS }).catch(() => {});
    await this.#worker.terminate();
  }

  /** Ends a thread that hangs; its owner hears `crashed`. */
  kill(reason: string): void {
    this.#reason = reason;
    void this.#worker.terminate();
  }
}
