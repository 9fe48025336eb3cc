import type { Lookups } from '../store/lookups.ts';
import type { Binding, KeyRecord, PolicyRecord } from './records.ts';

/** Bindings and policies held at once; beyond it everything is forgotten and read again as it is asked for. */
const MOST_BINDINGS = 50_000;
const MOST_POLICIES = 10_000;
/** Records remembered as expired (docs/POLICY.md, clocks). */
const MOST_EXPIRED = 100_000;

/**
 * The rules in memory: key, then client, then what it may do. Filled client by client and not key by key: one key may
 * have a million bindings, of which a handful are in use; reading one costs some tens of microseconds, once.
 */
export class Index {
  readonly #lookups: Lookups;
  readonly #keys = new Map<string, KeyRecord>();
  readonly #clients = new Map<string, Map<string, Binding>>();
  readonly #policies = new Map<number, PolicyRecord | null>();
  readonly #expired = new Set<string>();
  #bindings = 0;
  #dataVersion: number;

  constructor(lookups: Lookups) {
    this.#lookups = lookups;
    this.#dataVersion = lookups.dataVersion();
  }

  key(keyName: string): KeyRecord {
    const held = this.#keys.get(keyName);
    if (held !== undefined) return held;
    const read = this.#lookups.key(keyName);
    this.#keys.set(keyName, read);
    return read;
  }

  /** Null for a stranger, who is not remembered: strangers must not push out those who are bound. */
  binding(keyName: string, client: string): Binding | null {
    const held = this.#clients.get(keyName)?.get(client);
    if (held !== undefined) return held;
    const read = this.#lookups.binding(keyName, client);
    if (read !== null) this.#hold(keyName, client, read);
    return read;
  }

  /** Reads what the client's next request will ask for. */
  prepare(keyName: string, client: string): void {
    this.key(keyName);
    for (const { policyId } of this.binding(keyName, client)?.tokens ?? [])
      if (policyId !== null) this.policy(policyId);
  }

  policy(id: number): PolicyRecord | null {
    const held = this.#policies.get(id);
    if (held !== undefined) return held;
    const read = this.#lookups.policy(id);
    this.#policies.set(id, read);
    return read;
  }

  /**
   * Expired at `now`. A record that was found so is remembered until its date is changed: when the clock is set back,
   * what was refused stays refused.
   */
  expired(record: string, expiresAt: number | null, now: number): boolean {
    if (expiresAt === null) return false;
    if (expiresAt > now) return this.#expired.size > 0 && this.#expired.has(`${record}@${expiresAt}`);
    if (this.#expired.size >= MOST_EXPIRED) this.#expired.clear();
    this.#expired.add(`${record}@${expiresAt}`);
    return true;
  }

  /** To be asked once before each batch. True: another program wrote to the file, and everything was forgotten. */
  refresh(): boolean {
    const version = this.#lookups.dataVersion();
    if (version !== this.#dataVersion) {
      this.#dataVersion = version;
      this.forgetAll();
      return true;
    }
    if (this.#bindings > MOST_BINDINGS || this.#policies.size > MOST_POLICIES) this.forgetAll();
    return false;
  }

  /** Whether another program has written since `refresh`. */
  stale(): boolean {
    return this.#lookups.dataVersion() !== this.#dataVersion;
  }

  forgetBinding(keyName: string, client: string): void {
    if (this.#clients.get(keyName)?.delete(client)) this.#bindings--;
  }

  forgetPolicy(id: number): void {
    this.#policies.delete(id);
  }

  forgetKey(keyName: string): void {
    this.#keys.delete(keyName);
  }

  /** Also after a transaction that was taken back: the counts in memory held its uses. */
  forgetAll(): void {
    this.#keys.clear();
    this.#clients.clear();
    this.#policies.clear();
    this.#bindings = 0;
  }

  #hold(keyName: string, client: string, binding: Binding): void {
    let clients = this.#clients.get(keyName);
    if (clients === undefined) {
      clients = new Map();
      this.#clients.set(keyName, clients);
    }
    clients.set(client, binding);
    this.#bindings++;
  }
}
