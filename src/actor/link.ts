import type { MessagePort, Worker } from 'node:worker_threads';
import {
  ActorError,
  type ActorErrorCode,
  type AskType,
  type Body,
  type Handlers,
  type Protocol,
  type Reply,
  type TellType,
  type Transferable,
  Transferred,
} from './protocol.ts';
import { TransientMap } from './transient-map.ts';

/** What a link needs of a `Worker`, a `MessagePort` or `parentPort`. */
export type PortLike = MessagePort | Worker;

export interface LinkOptions {
  /** Asks that may wait for an answer here, and asks of the other side that may be in work, at once. */
  capacity?: number;
  /** Called once when the other side is gone. */
  onClose?: () => void;
  /** Called when a `tell` handler throws; without it the exception ends the thread. */
  onError?: (type: string, error: unknown) => void;
}

/** Deadline of an ask that names none, ms. */
export const DEFAULT_ASK_MS = 10_000;
const DEFAULT_CAPACITY = 16_384;
/** Deadlines are checked this often, ms: one timer for a link, not one for a request. */
const SWEEP_MS = 25;
/** How long a message may wait for another one to leave with, ms. */
const SOON_MS = 5;

const TELL = 0;
const ASK = 1;
const ANSWER = 2;
const ERROR = 3;
type Frame =
  | [typeof TELL, string, unknown]
  | [typeof ASK, number, string, unknown]
  | [typeof ANSWER, number, unknown]
  | [typeof ERROR, number, ActorErrorCode, string];

interface Pending {
  resolve(value: unknown): void;
  reject(error: Error): void;
  expires: number;
  type: string;
}

/**
 * One end of a typed channel between two threads: `Out` is what it may send, `In` what it handles.
 *
 * Messages sent in one turn of the event loop leave as one batch: under load a thread wakes once for many
 * messages. Order is kept. Mailboxes are bounded on both sides; a full one answers `overloaded` at once.
 */
export class Link<
  Out extends { [K in keyof Out]: Protocol[string] },
  In extends { [K in keyof In]: Protocol[string] },
> {
  readonly #port: PortLike;
  readonly #handlers: Handlers<In>;
  readonly #capacity: number;
  readonly #onClose: (() => void) | undefined;
  readonly #onError: ((type: string, error: unknown) => void) | undefined;
  readonly #pending = new TransientMap<number, Pending>();
  #batch: Frame[] = [];
  #transfer: Transferable[] = [];
  #leaving = false;
  #soon: NodeJS.Timeout | undefined;
  #nextId = 1;
  #inWork = 0;
  #closed = false;
  #sweep: NodeJS.Timeout | undefined;

  constructor(port: PortLike, handlers: Handlers<In>, options: LinkOptions = {}) {
    this.#port = port;
    this.#handlers = handlers;
    this.#capacity = options.capacity ?? DEFAULT_CAPACITY;
    this.#onClose = options.onClose;
    this.#onError = options.onError;
    port.on('message', (value) => this.#receive(value as Frame[]));
    if (isWorker(port)) port.on('exit', () => this.close());
    else port.on('close', () => this.close());
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Asks of ours that still wait. */
  get waiting(): number {
    return this.#pending.size;
  }

  tell<K extends TellType<Out>>(type: K, body: Body<Out, K>, transfer: readonly Transferable[] = []): void {
    if (!this.#closed) this.#send([TELL, type, body], transfer);
  }

  /**
   * A `tell` that nobody waits for at once: it leaves with the next message, or by itself after some milliseconds. Waking
   * the other thread costs more than the message.
   */
  tellSoon<K extends TellType<Out>>(type: K, body: Body<Out, K>): void {
    if (this.#closed) return;
    this.#batch.push([TELL, type, body]);
    this.#soon ??= setTimeout(() => {
      this.#soon = undefined;
      this.flush();
    }, SOON_MS).unref();
  }

  /** @throws ActorError `overloaded`, `timeout`, `closed` or `failed`, as a rejection. */
  ask<K extends AskType<Out>>(
    type: K,
    body: Body<Out, K>,
    options: { timeoutMs?: number; transfer?: readonly Transferable[] } = {},
  ): Promise<Reply<Out, K>> {
    if (this.#closed) return Promise.reject(new ActorError('closed', `${type}: the other side is gone`));
    if (this.#pending.size >= this.#capacity) {
      return Promise.reject(new ActorError('overloaded', `${type}: ${this.#capacity} messages are waiting already`));
    }
    const id = this.#nextId++;
    const expires = performance.now() + (options.timeoutMs ?? DEFAULT_ASK_MS);
    return new Promise<Reply<Out, K>>((resolve, reject) => {
      this.#pending.set(id, { resolve: resolve as (value: unknown) => void, reject, expires, type });
      this.#sweep ??= setInterval(() => this.#expire(), SWEEP_MS).unref();
      this.#send([ASK, id, type, body], options.transfer ?? []);
    });
  }

  /** Ends the link: what waits here is rejected as `closed`. The port itself is its owner's to close. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#sweep);
    clearTimeout(this.#soon);
    for (const waiting of this.#pending.values()) {
      waiting.reject(new ActorError('closed', `${waiting.type}: the other side is gone`));
    }
    this.#pending.clear();
    this.#onClose?.();
  }

  /** Sends what this turn has queued now, for a caller that is about to block or exit. */
  flush(): void {
    this.#leaving = false;
    if (this.#batch.length === 0) return;
    const batch = this.#batch;
    const transfer = this.#transfer;
    this.#batch = [];
    this.#transfer = [];
    this.#port.postMessage(batch, transfer);
  }

  #send(frame: Frame, transfer: readonly Transferable[]): void {
    if (!this.#leaving) {
      this.#leaving = true;
      queueMicrotask(() => this.flush());
    }
    this.#batch.push(frame);
    if (transfer.length > 0) this.#transfer.push(...transfer);
  }

  #receive(batch: Frame[]): void {
    for (const frame of batch) {
      if (this.#closed) return;
      switch (frame[0]) {
        case TELL:
          this.#told(frame[1], frame[2]);
          break;
        case ASK:
          void this.#asked(frame[1], frame[2], frame[3]);
          break;
        case ANSWER:
          this.#take(frame[1])?.resolve(frame[2]);
          break;
        case ERROR:
          this.#take(frame[1])?.reject(new ActorError(frame[2], frame[3]));
          break;
        default:
          frame satisfies never;
      }
    }
  }

  #told(type: string, body: unknown): void {
    const handler = this.#handlers[type as keyof In] as ((body: unknown) => void) | undefined;
    if (handler === undefined) return;
    try {
      handler(body);
    } catch (error) {
      if (this.#onError === undefined) throw error;
      this.#onError(type, error);
    }
  }

  async #asked(id: number, type: string, body: unknown): Promise<void> {
    const handler = this.#handlers[type as keyof In] as ((body: unknown) => unknown) | undefined;
    if (handler === undefined) {
      this.#send([ERROR, id, 'failed', `unknown message ${type}`], []);
      return;
    }
    if (this.#inWork >= this.#capacity) {
      this.#send([ERROR, id, 'overloaded', `${type}: the mailbox is full`], []);
      return;
    }
    this.#inWork++;
    try {
      const result = handler(body);
      const answer = result instanceof Promise ? await result : result;
      if (this.#closed) return;
      if (answer instanceof Transferred) this.#send([ANSWER, id, answer.value], answer.transfer);
      else this.#send([ANSWER, id, answer], []);
    } catch (error) {
      if (!this.#closed) this.#send([ERROR, id, ...plainError(type, error)], []);
    } finally {
      this.#inWork--;
    }
  }

  #take(id: number): Pending | undefined {
    const waiting = this.#pending.get(id);
    if (waiting !== undefined) this.#pending.delete(id);
    return waiting;
  }

  #expire(): void {
    const now = performance.now();
    for (const [id, waiting] of this.#pending) {
      if (waiting.expires > now) continue;
      this.#pending.delete(id);
      waiting.reject(new ActorError('timeout', `${waiting.type}: no answer in time`));
    }
    if (this.#pending.size === 0) {
      clearInterval(this.#sweep);
      this.#sweep = undefined;
    }
  }
}

function isWorker(port: PortLike): port is Worker {
  return 'terminate' in port;
}

/**
 * An exception as it may cross threads. Only an `ActorError` was worded by us; the message of anything else may
 * quote the value that it failed on, so its name and code are all that is said.
 */
function plainError(type: string, error: unknown): [ActorErrorCode, string] {
  if (error instanceof ActorError) return [error.code, error.message];
  const name = error instanceof Error ? error.name : 'exception';
  const code = (error as { code?: unknown } | null)?.code;
  return ['failed', `${type}: ${name}${typeof code === 'string' ? ` (${code})` : ''}`];
}
