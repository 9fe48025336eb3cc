import { statSync } from 'node:fs';
import type { Clock } from '../actor/clock.ts';
import type { AuditRows } from '../store/audit-rows.ts';
import { DatabaseGone, databaseFault } from '../store/fault.ts';
import type { Writes } from '../store/writes.ts';
import { chainHash } from './chain.ts';
import type { Charge } from './decide.ts';

/** `Log.type`: what a row is about (docs/POLICY.md). */
export type LogType = 'request' | 'connect' | 'logout' | 'token reuse' | 'relay auth' | 'admin';

export interface AuditRow {
  type: LogType;
  method: string | null;
  /** Becomes JSON: pubkeys, ids and names; never content or secrets. */
  params: { readonly [name: string]: string | number | boolean | null };
  keyUserId: number | null;
}

/** The records are no longer as they were when it was decided: the batch has to be decided again. */
export class Conflict extends Error {}
/** Another program has the write lock: try again later. */
export class Locked extends Error {}
/** Nothing can be written, and that is known already. */
export class Unwritable extends Error {}

interface Head {
  seq: number;
  hash: string;
}

/** Larger than a page and its rest, so that a probe needs pages of its own. */
const PROBE_BYTES = 8192;

/**
 * The open transaction of the batch in work: audit rows in their chain, counters, last uses. It begins with the first
 * write and not before: a batch that writes nothing needs no lock. Everything here is one turn of the event loop.
 */
export class Journal {
  readonly #path: string;
  readonly #file: { dev: number; ino: number };
  readonly #writes: Writes;
  readonly #clock: Clock;
  readonly #stale: () => boolean;
  #mode: 'write' | 'locked' | 'refuse' = 'write';
  #open = false;
  #rows: number;
  #appended = 0;
  /** The last durable row of the chain. */
  #head: Head;
  /** The last row of the open transaction. */
  #tip: Head;
  #nextSeq = 0;
  #cut: Head;
  #pendingCut: Head | null = null;
  #lastWrite: number | null = null;
  /** A new one each time: actor/transient-map.ts says why. */
  #touched = new Map<number, number>();
  #afterCommit: (() => void)[] = [];
  #ifTakenBack: (() => void)[] = [];

  constructor(options: { path: string; writes: Writes; rows: AuditRows; clock: Clock; stale: () => boolean }) {
    this.#path = options.path;
    this.#file = statSync(options.path);
    this.#writes = options.writes;
    this.#clock = options.clock;
    this.#stale = options.stale;
    this.#rows = options.rows.count();
    this.#cut = options.rows.cut();
    this.#head = options.rows.head();
    this.#tip = this.#head;
  }

  get head(): Head {
    return this.#head;
  }

  get cut(): Head {
    return this.#cut;
  }

  /** Rows of the audit log. */
  get rows(): number {
    return this.#rows;
  }

  /** ms since the epoch of the last durable audit row of this run. */
  get lastWrite(): number | null {
    return this.#lastWrite;
  }

  /** Whether last uses wait to be written. */
  get hasTouched(): boolean {
    return this.#touched.size > 0;
  }

  /** Before each attempt at a batch. `refuse`: whatever needs a write is told so. */
  prepare(mode: 'write' | 'refuse'): void {
    this.#mode = mode;
  }

  /** Takes the write lock, once for a batch. @throws Locked, Unwritable, Conflict, or what the database throws. */
  begin(): void {
    if (this.#open) return;
    if (this.#mode === 'refuse') throw new Unwritable();
    if (this.#mode === 'locked') throw new Locked();
    this.#assertInPlace();
    try {
      this.#writes.begin();
    } catch (error) {
      if (databaseFault(error)?.kind !== 'busy') throw error;
      this.#mode = 'locked';
      throw new Locked();
    }
    this.#open = true;
    // With the lock held nobody else can write; what was decided before it was taken must still hold.
    if (this.#stale()) throw new Conflict();
    this.#nextSeq = Math.max(this.#writes.lastLogId(), this.#head.seq) + 1;
  }

  append(row: AuditRow): void {
    this.begin();
    const seq = this.#nextSeq++;
    const timestamp = this.#clock.now();
    const { type, method, keyUserId } = row;
    const params = JSON.stringify(row.params);
    const hash = chainHash(this.#tip.hash, { seq, time: timestamp, type, method, params });
    this.#writes.log({ id: seq, timestamp, type, method, params, keyUserId, hash });
    this.#tip = { seq, hash };
    this.#appended++;
  }

  /** Counts a use, in the database with its limit as the guard, and in memory. */
  charge({ rule, token }: Charge): void {
    this.begin();
    if (rule.maxUsageCount !== null) {
      if (!this.#writes.chargeRule(rule.id)) throw new Conflict();
      rule.used++;
    }
    if (rule.maxUsagePerToken !== null) {
      if (!this.#writes.chargeToken(token.id, rule.id, rule.maxUsagePerToken)) throw new Conflict();
      token.used.set(rule.id, (token.used.get(rule.id) ?? 0) + 1);
    }
  }

  /** Written with the next transaction, whichever that is. */
  touch(keyUserId: number): void {
    this.#touched.set(keyUserId, this.#clock.now());
  }

  probe(): void {
    this.begin();
    this.#writes.probe(PROBE_BYTES);
  }

  /** Removes the rows up to a row of this hash. */
  prune(upTo: Head, rows: number): void {
    this.begin();
    this.#writes.prune(upTo.seq, upTo.hash);
    this.#pendingCut = upTo;
    this.#appended -= rows;
  }

  /** Told when the transaction is durable; dropped with it. */
  afterCommit(tell: () => void): void {
    this.#afterCommit.push(tell);
  }

  /** Undoes what was held in memory of the open transaction; dropped with it. */
  ifTakenBack(undo: () => void): void {
    this.#ifTakenBack.push(undo);
  }

  /** True: something was written, and is durable now. */
  commit(): boolean {
    if (!this.#open) return false;
    for (const [keyUserId, now] of this.#touched) this.#writes.touch(keyUserId, now);
    this.#writes.commit();
    this.#open = false;
    this.#touched = new Map();
    if (this.#tip !== this.#head) this.#lastWrite = this.#clock.now();
    this.#head = this.#tip;
    this.#rows += this.#appended;
    this.#appended = 0;
    if (this.#pendingCut !== null) this.#cut = this.#pendingCut;
    this.#pendingCut = null;
    const tells = this.#afterCommit;
    this.#afterCommit = [];
    this.#ifTakenBack = [];
    for (const tell of tells) tell();
    return true;
  }

  /** As if the batch had not been tried. What the index counted is the caller's to forget. */
  takeBack(): void {
    this.#open = false;
    this.#tip = this.#head;
    this.#appended = 0;
    this.#pendingCut = null;
    this.#afterCommit = [];
    for (const undo of this.#ifTakenBack) undo();
    this.#ifTakenBack = [];
    this.#touched = new Map();
    this.#writes.rollback();
  }

  /** Another program has written: its rows are counted too. */
  recount(rows: AuditRows): void {
    this.#rows = rows.count();
  }

  /** SQLite would go on writing to a file that was moved or deleted, and nobody would ever find it. */
  #assertInPlace(): void {
    const now = statSync(this.#path, { throwIfNoEntry: false });
    if (now === undefined || now.ino !== this.#file.ino || now.dev !== this.#file.dev) throw new DatabaseGone();
  }
}
