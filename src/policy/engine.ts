import type { Clock } from '../actor/clock.ts';
import { AuditRows } from '../store/audit-rows.ts';
import { databaseFault } from '../store/fault.ts';
import { Lookups } from '../store/lookups.ts';
import { openStore, type Store } from '../store/open.ts';
import { Writes } from '../store/writes.ts';
import { Advertised } from './advertised.ts';
import { Denials } from './denials.ts';
import type { Desk } from './desk.ts';
import { GroupCommit } from './group-commit.ts';
import { Index } from './index.ts';
import { Journal } from './journal.ts';
import { KINDS_NOT_IN_ALL } from './kinds-not-in-all.ts';
import { Passes } from './passes.ts';
import type { LogLine, Outcome, PolicyOpenOptions, PolicyStatus } from './protocol.ts';
import { pruneStep } from './prune.ts';
import { remembered } from './remembered.ts';
import { ReplayMemory } from './replay.ts';
import { Reuses } from './reuses.ts';

export interface Outside {
  clock: Clock;
  /** From the system's generator. */
  random: (bytes: number) => Uint8Array;
  log: (line: LogLine) => void;
  bound: (keyName: string, client: string) => void;
  forgetClients: () => void;
  clientRelaysChanged: () => void;
  committed?: (ms: number) => void;
  head: (head: { seq: number; hash: string; cut: number; at: number }) => void;
}

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const DAY_MS = 24 * 60 * MINUTE_MS;
/** Time between two steps of pruning. */
const PRUNE_PAUSE_MS = 200;
/** By how much the wall clock may have left the monotonic one before nothing is pruned by it. */
const CLOCK_TRUST_MS = 60 * MINUTE_MS;
/** An admin's change waits this long for another program's lock, and tries this often. */
const LOCK_PATIENCE_MS = 2000;
const LOCK_RETRY_MS = 50;

/** One open database with everything that works on it; the actor gives it to its ports. */
export class PolicyEngine {
  readonly store: Store;
  readonly desk: Desk;
  readonly commits: GroupCommit;
  readonly #outside: Outside;
  readonly #options: PolicyOpenOptions;
  readonly #rows: AuditRows;
  /** ms */
  readonly #window: number;
  /** The wall clock minus the monotonic one, when the database was opened. */
  readonly #drift: number;
  readonly #reserved: Set<string>;
  readonly #timers: NodeJS.Timeout[] = [];
  #toldHead = '';
  /** The last KeyUser when the main thread was last told to forget who is bound. */
  #toldKeyUser = 0;
  #recountDue = false;
  #clientRelaysDue = false;
  #clockDistrusted = false;
  #hasClientRelays: boolean;

  static async open(
    options: PolicyOpenOptions,
    outside: Outside,
  ): Promise<{ ok: true; engine: PolicyEngine } | { ok: false; refusal: string }> {
    const opened = await openStore(options);
    if (!opened.ok) return opened;
    try {
      return { ok: true, engine: new PolicyEngine(opened.store, options, outside) };
    } catch (error) {
      await opened.store.orm.close(true);
      const fault = databaseFault(error);
      if (fault === null) throw error;
      return { ok: false, refusal: `the database ${opened.store.path} cannot be read: ${fault.reason}` };
    }
  }

  private constructor(store: Store, options: PolicyOpenOptions, outside: Outside) {
    const { clock } = outside;
    this.store = store;
    this.#options = options;
    this.#outside = outside;
    this.#rows = new AuditRows(store.db);
    // An event is good for its skew on both sides of now: nothing younger than twice that may be forgotten.
    this.#window = 2 * options.maxClockSkew * SECOND_MS + MINUTE_MS;
    this.#drift = clock.now() - clock.mono();
    this.#reserved = new Set(options.reserved);
    const lookups = new Lookups(store.db);
    const writes = new Writes(store.db);
    const index = new Index(lookups);
    const seed = new DataView(outside.random(4).slice().buffer).getUint32(0);
    // Most databases have none, and then nobody need be told.
    this.#hasClientRelays = lookups.clientRelays().length > 0;
    const replay = new ReplayMemory({ window: this.#window, seed, mono: clock.mono() });
    const journal = new Journal({ path: store.path, writes, rows: this.#rows, clock, stale: () => index.stale() });
    this.desk = {
      clock,
      lookups,
      writes,
      index,
      journal,
      replay,
      denials: new Denials(outside.log),
      reuses: new Reuses(clock),
      passes: new Passes(clock),
      askForStrangers: options.askForStrangers ?? store.origin === 'adopted',
      kindsNotInAll: new Set(options.kindsNotInAll ?? KINDS_NOT_IN_ALL[store.origin]),
      reserved: this.#reserved,
      bound: outside.bound,
      advertised: new Advertised(lookups, writes, journal),
      clientRelaysChanged: (added = false) => {
        this.#hasClientRelays ||= added;
        if (this.#hasClientRelays) outside.clientRelaysChanged();
      },
    };
    this.#remember();
    this.commits = new GroupCommit({
      clock,
      journal,
      index,
      replay,
      onForeignChange: () => this.#changedOutside(),
      onClockSetBack: () => {
        outside.log({ level: 'warn', message: 'the clock was set back', fields: {} });
        this.#remember();
      },
      onCommit: (ms) => outside.committed?.(ms),
      onFault: (reason) => this.#reportFault(reason),
    });
    this.#toldHead = this.#headKey();
    this.#toldKeyUser = lookups.lastKeyUser();
    this.#timers.push(setInterval(() => this.minute(), MINUTE_MS).unref());
    this.#timers.push(setTimeout(() => void this.prune(), SECOND_MS).unref());
  }

  /** Relays that clients brought along, for keys whose bindings live. */
  clientRelays(): { keyName: string; relays: string[] }[] {
    return this.desk.lookups.clientRelays().map(({ keyName, relays }) => ({ keyName, relays: readRelays(relays) }));
  }

  /** What is advertised to clients; tried again until the database can be written. */
  async announce(relays: string[]): Promise<void> {
    const { advertised, clock } = this.desk;
    const work = () => {
      advertised.announce(relays, clock.now());
      return true;
    };
    const done = await this.commits.submit({ work, unavailable: false, expires: clock.mono() + LOCK_PATIENCE_MS });
    if (!done) this.#timers.push(setTimeout(() => void this.announce(relays), MINUTE_MS).unref());
  }

  status(): PolicyStatus {
    const { journal } = this.desk;
    return {
      writable: this.commits.failure === null,
      lastWrite: journal.lastWrite,
      failure: this.commits.failure,
      schemaVersion: this.store.schemaVersion,
      auditRows: journal.rows,
      waiting: this.commits.waiting,
    };
  }

  /** Pubkeys that no client may decrypt from and no new key may have, from the next decision on. */
  reserve(pubkeys: readonly string[]): void {
    this.#reserved.clear();
    for (const pubkey of pubkeys) this.#reserved.add(pubkey);
  }

  /** A request of this client's is on its way, and its key is being opened meanwhile. What cannot be read now is told to the request. */
  expect(keyName: string, client: string): void {
    const { index, clock } = this.desk;
    const work = () => index.prepare(keyName, client);
    void this.commits
      .submit({ work, unavailable: undefined, expires: clock.mono() + LOCK_PATIENCE_MS })
      .catch(() => {});
  }

  /** A write that has to reach the disk. */
  async health(): Promise<PolicyStatus> {
    const { journal, clock } = this.desk;
    const work = () => {
      journal.probe();
      return true;
    };
    const done = await this.commits.submit({ work, unavailable: false, expires: clock.mono() + LOCK_PATIENCE_MS });
    const status = this.status();
    if (done) return status;
    return { ...status, writable: false, failure: status.failure ?? 'the database did not answer in time' };
  }

  /** Names of the keys in nsecbunker.json. */
  get legacyKeys(): readonly string[] {
    return this.#options.legacyKeys ?? [];
  }

  /** An admin's change: one transaction of the ORM, tried again while another program has the lock. */
  async change<T>(work: () => Promise<Outcome<T>>): Promise<Outcome<T>> {
    const { clock } = this.desk;
    const giveUp = clock.mono() + LOCK_PATIENCE_MS;
    for (;;) {
      try {
        const outcome = await this.commits.alone(work);
        // A revocation may be among what changes.
        if (outcome.ok && this.#hasClientRelays) this.#outside.clientRelaysChanged();
        return outcome;
      } catch (error) {
        const fault = databaseFault(error);
        if (fault === null) throw error;
        if (fault.kind === 'unwritable' || clock.mono() >= giveUp) {
          return { ok: false, refusal: `nothing was changed, the database cannot be written: ${fault.reason}` };
        }
        await new Promise((resolve) => setTimeout(resolve, LOCK_RETRY_MS));
      }
    }
  }

  /** What is done every minute: denials are counted, the head is told, last uses are written, old rows go. */
  minute(): void {
    this.desk.denials.turn();
    this.tellHead();
    if (this.#recountDue) this.desk.journal.recount(this.#rows);
    this.#recountDue = false;
    if (this.#clientRelaysDue) this.desk.clientRelaysChanged();
    this.#clientRelaysDue = false;
    if (this.desk.journal.hasTouched) void this.#flush();
    void this.prune();
  }

  /**
   * Another program may change the file many times a second, for minutes (`redoubt strip-photocopies`). So counting the
   * log's rows and looking for clients' relays can wait, and the main thread is told to forget who is bound to which key
   * only when clients were added: it knows their pubkeys alone, and of one that is gone the next decision says so.
   */
  #changedOutside(): void {
    this.#recountDue = true;
    this.#clientRelaysDue = true;
    const lastKeyUser = this.desk.lookups.lastKeyUser();
    if (lastKeyUser === this.#toldKeyUser) return;
    this.#toldKeyUser = lastKeyUser;
    this.#outside.forgetClients();
  }

  /** The head of the audit chain, when it has changed since it was told. */
  tellHead(): void {
    const { journal, clock } = this.desk;
    if (this.#headKey() === this.#toldHead) return;
    this.#toldHead = this.#headKey();
    this.#outside.head({ ...journal.head, cut: journal.cut.seq, at: clock.now() });
  }

  /** Removes what is older than the retention, step by step, with requests in between. */
  async prune(): Promise<void> {
    const { clock, journal } = this.desk;
    const retention = Math.max(this.#options.auditRetentionDays * DAY_MS, 2 * this.#window);
    for (;;) {
      if (!this.#clockTrusted()) return;
      const before = clock.now() - retention;
      const work = () => pruneStep(journal, this.#rows, before);
      const more = await this.commits.submit({ work, unavailable: false, expires: clock.mono() + LOCK_PATIENCE_MS });
      if (!more) break;
      await new Promise((resolve) => setTimeout(resolve, PRUNE_PAUSE_MS).unref());
    }
    if (this.desk.journal.cut.seq !== Number(this.#toldHead.split(' ')[0])) this.tellHead();
  }

  /** Finishes what is queued, tells the last denials and the head, closes the database. */
  async close(): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer);
    this.desk.denials.turn();
    if (this.desk.journal.hasTouched) await this.#flush();
    await this.commits.close();
    this.tellHead();
    await this.store.orm.close(true);
  }

  #flush(): Promise<null> {
    const { journal, clock } = this.desk;
    const work = () => {
      journal.begin();
      return null;
    };
    return this.commits.submit({ work, unavailable: null, expires: clock.mono() + LOCK_PATIENCE_MS });
  }

  #remember(): void {
    const { replay, clock } = this.desk;
    replay.rebuild(remembered(this.#rows, clock.now() - this.#window), clock.mono());
  }

  #headKey(): string {
    const { head, cut } = this.desk.journal;
    return `${cut.seq} ${head.seq} ${head.hash}`;
  }

  /** A clock that jumped years ahead must not empty the audit log. */
  #clockTrusted(): boolean {
    const { clock } = this.desk;
    const trusted = Math.abs(clock.now() - clock.mono() - this.#drift) < CLOCK_TRUST_MS;
    if (!trusted && !this.#clockDistrusted) {
      const message = 'the clock was moved: no audit row is pruned until it is right again or the daemon is restarted';
      this.#outside.log({ level: 'warn', message, fields: {} });
    }
    this.#clockDistrusted = !trusted;
    return trusted;
  }

  #reportFault(reason: string | null): void {
    const line: LogLine =
      reason === null
        ? { level: 'info', message: 'the audit log can be written again', fields: {} }
        : { level: 'error', message: 'the audit log cannot be written: nothing is signed', fields: { reason } };
    this.#outside.log(line);
  }
}

/** What somebody else has written there is no list of ours. */
function readRelays(json: string): string[] {
  try {
    const list: unknown = JSON.parse(json);
    return Array.isArray(list) ? list.filter((url) => typeof url === 'string') : [];
  } catch {
    return [];
  }
}
