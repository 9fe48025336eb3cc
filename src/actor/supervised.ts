import type { Worker } from 'node:worker_threads';
import type { Clock } from './clock.ts';
import { Link } from './link.ts';
import type { Handlers, Protocol } from './protocol.ts';
import { type RestartPolicy, Restarts } from './restarts.ts';

export interface Supervision<Out, In> {
  name: string;
  start(): Worker;
  handlers: Handlers<In>;
  /** Brings a new thread to work; called after the first start and after each restart. A rejection is a crash. */
  up(
    link: Link<Out & { [K in keyof Out]: Protocol[string] }, In & { [K in keyof In]: Protocol[string] }>,
  ): Promise<void>;
  /** Told of each crash, with the delay before the restart, or null when there will be none. */
  down(reason: string, delayMs: number | null): void;
  clock: Clock;
  restarts?: RestartPolicy;
}

/** An actor of which there is one (policy, admin, vault): kept running, with a budget of restarts of its own. */
export class Supervised<
  Out extends { [K in keyof Out]: Protocol[string] },
  In extends { [K in keyof In]: Protocol[string] },
> {
  readonly #supervision: Supervision<Out, In>;
  readonly #restarts: Restarts;
  #worker!: Worker;
  #link!: Link<Out, In>;
  #stopped = false;
  #reason = '';

  constructor(supervision: Supervision<Out, In>) {
    this.#supervision = supervision;
    this.#restarts = new Restarts(supervision.restarts);
  }

  /** The link to the thread that runs now; asks on a dead one are rejected as `closed`. */
  get link(): Link<Out, In> {
    return this.#link;
  }

  /** First start. @throws what `up` throws: a daemon that cannot start must say so instead of trying again */
  async start(): Promise<void> {
    this.#spawn();
    await this.#supervision.up(this.#link);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#link?.close();
    await this.#worker?.terminate();
  }

  #spawn(): void {
    const worker = this.#supervision.start();
    this.#worker = worker;
    this.#link = new Link<Out, In>(worker, this.#supervision.handlers);
    this.#reason = '';
    // An exception's message may quote what it failed on; its name and code are enough to know where to look.
    worker.on('error', (error: Error & { code?: string }) => {
      this.#reason = error.code === undefined ? error.name : `${error.name} ${error.code}`;
    });
    worker.on('exit', (code) => {
      if (!this.#stopped && worker === this.#worker) this.#crashed(this.#reason || `exit code ${code}`);
    });
  }

  #crashed(reason: string): void {
    const delay = this.#restarts.next(this.#supervision.clock.mono());
    this.#supervision.down(reason, delay);
    if (delay === null) return;
    setTimeout(() => {
      if (this.#stopped) return;
      this.#spawn();
      const worker = this.#worker;
      this.#supervision.up(this.#link).catch(() => {
        if (worker === this.#worker) void worker.terminate();
      });
    }, delay);
  }
}
