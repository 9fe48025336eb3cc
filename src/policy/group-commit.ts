import type { Clock } from '../actor/clock.ts';
import { databaseFault, type Fault } from '../store/fault.ts';
import { Turns } from '../store/turns.ts';
import type { Index } from './index.ts';
import { Conflict, type Journal, Locked, Unwritable } from './journal.ts';
import type { ReplayMemory } from './replay.ts';

export interface Task<T> {
  /** Decides and writes, in one turn of the event loop. May be called again when the batch has to be tried again. */
  work: () => T;
  /** What is answered when the database cannot be written, or when it is too late. */
  unavailable: T;
  /** Monotonic ms after which it must not be carried out. */
  expires: number;
}

interface Entry {
  work: () => unknown;
  unavailable: unknown;
  expires: number;
  /** Monotonic ms until which a locked database is tried again; unset while it was not locked. */
  giveUp: number | null;
  resolve: (answer: unknown) => void;
  reject: (error: unknown) => void;
}

export interface GroupCommitOptions {
  clock: Clock;
  journal: Journal;
  index: Index;
  replay: ReplayMemory;
  /** Another program has written to the file. */
  onForeignChange: () => void;
  /** The wall clock was set back. */
  onClockSetBack: () => void;
  /** A transaction took this long, ms. */
  onCommit?: (ms: number) => void;
  /** Null: it can be written again. */
  onFault: (reason: string | null) => void;
}

/** Decisions of one transaction at most; the rest goes into the next one. */
const MOST_IN_BATCH = 1024;
/** How long requests wait for another program's lock, ms, and how often it is tried. */
const LOCK_PATIENCE_MS = 2000;
const LOCK_RETRY_MS = 25;
/** While it cannot be written, a write is tried this often even when nobody asks. */
const RECOVERY_MS = 1000;
/** A batch whose records change under it this often is refused. */
const MOST_CONFLICTS = 5;
/** The wall clock may be corrected by this much without notice, ms. */
const CLOCK_SLACK_MS = 1000;

/**
 * One transaction and one fsync for everything that arrived while the last one was being written. Requests are
 * decided in the same turn of the event loop that commits them, so that nothing can change in between, and are
 * answered when COMMIT has returned.
 */
export class GroupCommit {
  readonly #options: GroupCommitOptions;
  readonly #turns = new Turns();
  #inbox: Entry[] = [];
  #scheduled = false;
  #retry: NodeJS.Timeout | null = null;
  #recovery: NodeJS.Timeout | null = null;
  #failure: string | null = null;
  #lastNow: number;
  #closed = false;

  constructor(options: GroupCommitOptions) {
    this.#options = options;
    this.#lastNow = options.clock.now();
  }

  /** Why the last write failed; null while writes succeed. */
  get failure(): string | null {
    return this.#failure;
  }

  /** How many wait to be decided. */
  get waiting(): number {
    return this.#inbox.length;
  }

  submit<T>(task: Task<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#inbox.push({ ...task, giveUp: null, resolve: resolve as (answer: unknown) => void, reject });
      this.#schedule();
    });
  }

  /** Runs a transaction of the ORM, which spans turns of the event loop, while the journal stands still. */
  alone<T>(work: () => Promise<T>): Promise<T> {
    return this.#turns.take(work);
  }

  /** When it settles, everything that was submitted before is answered; what comes later is unavailable. */
  async close(): Promise<void> {
    while (this.#inbox.length > 0) await new Promise((resolve) => setTimeout(resolve, LOCK_RETRY_MS));
    await this.#turns.take(() => {
      this.#closed = true;
      if (this.#recovery !== null) clearInterval(this.#recovery);
    });
  }

  /** After the poll phase, when every port that had messages has delivered them: they make one batch. */
  #schedule(): void {
    if (this.#scheduled || this.#retry !== null) return;
    this.#scheduled = true;
    setImmediate(() => void this.#turns.take(() => this.#flush()));
  }

  #flush(): void {
    this.#scheduled = false;
    if (this.#closed) return void answerAll(this.#inbox.splice(0));
    if (this.#inbox.length === 0) return;
    const batch = this.#inbox.splice(0, MOST_IN_BATCH);
    const waiting = this.#run(batch);
    if (waiting.length > 0) {
      this.#inbox = [...waiting, ...this.#inbox];
      this.#retry = setTimeout(() => {
        this.#retry = null;
        this.#schedule();
      }, LOCK_RETRY_MS);
    } else if (this.#inbox.length > 0) this.#schedule();
  }

  /** Answers the batch; what it returns waits for another program's lock. */
  #run(batch: Entry[]): Entry[] {
    let refusing = false;
    for (let conflicts = 0; ; ) {
      try {
        this.#refresh();
        return this.#attempt(batch, refusing);
      } catch (error) {
        this.#takeBack();
        if (error instanceof Failed) {
          // One request's fault is no other's: the rest is decided without it.
          error.entry.reject(error.cause);
          batch = batch.filter((entry) => entry !== error.entry);
          continue;
        }
        if (error instanceof Conflict && ++conflicts < MOST_CONFLICTS) continue;
        const fault = error instanceof Conflict ? changing : databaseFault(error);
        if (fault === null) return rejectAll(batch, error);
        if (fault.kind === 'busy') return this.#waitForLock(batch);
        this.#failed(fault.reason);
        // Once more, for those that need no write. If not even reading works, nobody is served.
        if (refusing) return answerAll(batch);
        refusing = true;
      }
    }
  }

  #refresh(): void {
    const { clock, index, replay, onForeignChange, onClockSetBack } = this.#options;
    replay.turn(clock.mono());
    if (index.refresh()) onForeignChange();
    const now = clock.now();
    if (now < this.#lastNow - CLOCK_SLACK_MS) onClockSetBack();
    this.#lastNow = now;
  }

  #attempt(batch: Entry[], refusing: boolean): Entry[] {
    const { journal, replay, clock } = this.#options;
    const answers: unknown[] = [];
    const answered: Entry[] = [];
    const locked: Entry[] = [];
    journal.prepare(refusing ? 'refuse' : 'write');
    const mono = clock.mono();
    for (const entry of batch) {
      try {
        const late = mono >= entry.expires;
        answers.push(late ? entry.unavailable : entry.work());
        answered.push(entry);
      } catch (error) {
        if (error instanceof Locked) locked.push(entry);
        else if (error instanceof Unwritable) {
          answers.push(entry.unavailable);
          answered.push(entry);
        } else if (error instanceof Conflict || databaseFault(error) !== null) throw error;
        else throw new Failed(entry, error);
      }
    }
    // The lock may have been long in coming, or the process have stood still: nothing is carried out too late.
    const done = clock.mono();
    if (batch.some(({ expires }) => mono < expires && expires <= done)) throw new Conflict();
    if (journal.commit()) {
      this.#options.onCommit?.(clock.mono() - mono);
      this.#recovered();
    }
    replay.keep();
    for (const [i, entry] of answered.entries()) entry.resolve(answers[i]);
    return this.#waitForLock(locked);
  }

  /** Those that have waited long enough are refused, and health turns red. */
  #waitForLock(entries: Entry[]): Entry[] {
    const mono = this.#options.clock.mono();
    const waiting: Entry[] = [];
    for (const entry of entries) {
      entry.giveUp ??= Math.min(entry.expires, mono + LOCK_PATIENCE_MS);
      if (mono < entry.giveUp) {
        waiting.push(entry);
        continue;
      }
      this.#failed('another program holds the lock of the database');
      entry.resolve(entry.unavailable);
    }
    return waiting;
  }

  #takeBack(): void {
    const { journal, index, replay } = this.#options;
    replay.drop();
    index.forgetAll();
    journal.takeBack();
  }

  #failed(reason: string): void {
    if (this.#failure !== reason) this.#options.onFault(reason);
    this.#failure = reason;
    this.#recovery ??= setInterval(() => this.#tryAgain(), RECOVERY_MS).unref();
  }

  #recovered(): void {
    if (this.#failure === null) return;
    this.#failure = null;
    if (this.#recovery !== null) clearInterval(this.#recovery);
    this.#recovery = null;
    this.#options.onFault(null);
  }

  #tryAgain(): void {
    const { journal, clock } = this.#options;
    void this.submit({ work: () => journal.probe(), unavailable: undefined, expires: clock.mono() + RECOVERY_MS });
  }
}

/** A bug of ours that one request has met. */
class Failed extends Error {
  readonly entry: Entry;
  constructor(entry: Entry, cause: unknown) {
    super('a request failed', { cause });
    this.entry = entry;
  }
}

const changing: Fault = { kind: 'unwritable', reason: 'another program changes the records without pause' };

function rejectAll(batch: Entry[], error: unknown): Entry[] {
  for (const entry of batch) entry.reject(error);
  return [];
}

function answerAll(batch: Entry[]): Entry[] {
  for (const entry of batch) entry.resolve(entry.unavailable);
  return [];
}
