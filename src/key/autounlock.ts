import type { Clock } from '../actor/clock.ts';
import type { Body } from '../actor/protocol.ts';
import type { AdminToMain, AutounlockState } from '../admin/protocol.ts';
import { firstFew } from '../first-few.ts';
import { type AutounlockInspection, type AutounlockSources, type UnlockResult, WRONG } from '../keystore/protocol.ts';
import type { LogLine, Outcome } from '../policy/protocol.ts';
import type { Custody, KeyGroup, KnownKey, Source } from './custody.ts';

export interface AutounlockOptions {
  custody: Custody;
  /** Resolves when the relays deliver, or will not soon. */
  relaysReady(): Promise<void>;
  clock: Clock;
  log(line: LogLine): void;
}

type Inspected = Extract<AutounlockInspection, { ok: true }>;

/**
 * Unlocks every key at start, and after a crash of the vault: requests wait until all of it is done, so that nobody
 * sees half a fleet. Where the passphrases come from was inspected before. docs/AUTOUNLOCK.md
 */
export class Autounlock {
  readonly #options: AutounlockOptions;
  readonly #sources: AutounlockSources;
  readonly #from: Inspected['from'];
  readonly #own: Inspected['own'];
  /** Why keys that should be unlocked are not, by name. */
  readonly #failed = new Map<string, string>();
  /** Keys of the last sweep. */
  #total = 0;
  #sweeping: Promise<void> | null = null;
  #wanted = false;
  /** Names of keys that were locked on purpose. */
  #passedOver: string[] = [];
  /** Why there was no sweep at all. */
  #fault: string | null = null;

  constructor(sources: AutounlockSources, inspected: Inspected, options: AutounlockOptions) {
    this.#options = options;
    this.#sources = sources;
    this.#from = inspected.from;
    this.#own = inspected.own;
  }

  get isOn(): boolean {
    return this.#from.length > 0;
  }

  /** Before the relays are up: from now on requests for these keys wait for the sweep. */
  async prepare(): Promise<void> {
    if (this.isOn) await this.#expect();
  }

  /** Once the relays are up. Resolves when the sweep is over, and requests are taken. */
  async start(): Promise<void> {
    if (!this.isOn) return;
    await this.#options.relaysReady();
    await this.#sweep();
  }

  /** The vault has forgotten everything: keys that no thread holds are locked again, or unlocked again if this is on. */
  async vaultRestarted(): Promise<void> {
    const { custody } = this.#options;
    for (const key of custody.keys.all()) if (key.state === 'inactive' || key.state === 'activating') key.expect();
    await custody.openPlain();
    if (this.isOn) return this.#sweep();
    const gone = [...custody.keys.all()].filter((key) => key.state === 'expected');
    await Promise.all(gone.map((key) => key.giveUp()));
    if (gone.length > 0) this.#log('warn', `the vault has forgotten ${gone.length} keys: they are locked again`);
    // Also for keys that a request has found locked meanwhile.
    await custody.resubscribe();
  }

  /** Locks keys on purpose, or because they are deleted: they are not missed from now on. */
  lock({ names, deleted, every }: Body<AdminToMain, 'lockKeys'>): Promise<Outcome<number>> {
    const { custody } = this.#options;
    const all = every === true ? [...custody.keys.all()].map((key) => key.name) : names;
    for (const name of all) this.#failed.delete(name);
    return custody.lock(all, deleted);
  }

  /** How far it has come, and why the daemon is not well where keys should be unlocked and are not; null when it is off. */
  state(): AutounlockState | null {
    if (!this.isOn) return null;
    const reasons = this.#reasons();
    return {
      complete: reasons.length === 0,
      unlocked: this.#total - this.#missing().length,
      total: this.#total,
      reasons,
    };
  }

  #reasons(): string[] {
    if (this.#sweeping !== null) return ['autounlock is under way'];
    if (this.#fault !== null) return [this.#fault];
    const missing = this.#missing();
    if (missing.length === 0) return [];
    return [`autounlock is incomplete: ${firstFew(missing, ([name, error]) => `${name} (${error})`)}`];
  }

  #missing(): [name: string, error: string][] {
    return [...this.#failed].filter(([name]) => this.#options.custody.keys.named(name)?.unlocked !== true);
  }

  /** One sweep at a time; what is asked for during one is done after it. */
  #sweep(): Promise<void> {
    this.#wanted = true;
    this.#sweeping ??= this.#sweepWhileWanted().finally(() => {
      this.#sweeping = null;
    });
    return this.#sweeping;
  }

  async #sweepWhileWanted(): Promise<void> {
    while (this.#wanted) {
      this.#wanted = false;
      const started = this.#options.clock.mono();
      this.#fault = null;
      try {
        const wanted = await this.#expect();
        const results = await this.#options.custody.open(this.#groups(wanted));
        this.#report(wanted, results, Math.round(this.#options.clock.mono() - started));
      } catch (error) {
        this.#fault = `autounlock failed (${error instanceof Error ? error.name : 'exception'}): unlock the keys by hand`;
        this.#log('error', this.#fault);
      }
    }
    const { custody } = this.#options;
    await Promise.all([...custody.keys.all()].map((key) => key.giveUp()));
    // Relays that are slow to answer hold nobody up: what is subscribed to already is what is needed.
    void custody.resubscribe();
  }

  /** @returns the keys to be unlocked, whose requests wait from now on */
  async #expect(): Promise<KnownKey[]> {
    const { custody } = this.#options;
    const { keys } = custody;
    // Of a key that nsecbunkerd left nobody may know the pubkey yet. What is inactive was opened a moment ago.
    const known = (await custody.known()).filter(({ name, pubkey }) => {
      const state = keys.named(name)?.state;
      return state === undefined ? pubkey === '' : state !== 'quarantined' && state !== 'inactive';
    });
    const wanted = known.filter(({ lockedAt }) => lockedAt === null);
    for (const { name } of wanted) {
      const key = keys.named(name);
      if (key?.state === 'locked') key.expect();
    }
    this.#passedOver = known.filter(({ lockedAt }) => lockedAt !== null).map(({ name }) => name);
    return wanted;
  }

  /** One group for each passphrase. A key with one of its own is tried with no other. */
  #groups(wanted: readonly KnownKey[]): KeyGroup[] {
    const { environment, file, passphrases } = this.#sources;
    const left = new Map(wanted.map(({ name, pubkey }) => [name, { name, pubkey }]));
    const groups: KeyGroup[] = [];
    let unknown = 0;
    for (const names of this.#own) {
      const keys = names.flatMap((name) => left.get(name) ?? []);
      for (const { name } of keys) left.delete(name);
      unknown += names.filter((name) => this.#options.custody.keys.named(name) === undefined).length;
      if (keys.length > 0) groups.push({ keys, source: { passphrases: passphrases!, entry: names[0]! } });
    }
    if (unknown > 0)
      this.#log('warn', `autounlock: ${unknown} entries of ${passphrases} are for no key: mend the names`);
    const forAll = this.#sourceForAll(environment, file);
    if (forAll !== null && left.size > 0) groups.push({ keys: [...left.values()], source: forAll });
    return groups;
  }

  #sourceForAll(environment: number | null, file: string | null): Source | null {
    if (file !== null) return { file };
    // An empty variable counts as not set.
    const isLiteral = environment !== null && this.#from.includes('NSECBUNKER_AUTOUNLOCK_PASSPHRASE');
    return isLiteral ? { environment } : null;
  }

  #report(wanted: readonly KnownKey[], results: readonly UnlockResult[], ms: number): void {
    const { keys } = this.#options.custody;
    const opened = new Set(results.flatMap((result) => result.unlocked).map((pubkey) => keys.get(pubkey)?.name));
    const failed = new Map(results.flatMap((result) => result.failed).map(({ name, error }) => [name, error]));
    this.#failed.clear();
    this.#total = wanted.length;
    for (const { name } of wanted) {
      if (opened.has(name)) {
        this.#log('info', `autounlock: unlocked ${name}`);
        continue;
      }
      const error = failed.get(name) ?? NOT_GIVEN;
      // Deleted, locked on purpose or unlocked by an admin meanwhile: as it should be.
      const state = keys.named(name)?.state;
      if (state !== 'expected' && !(state === undefined && failed.has(name))) continue;
      this.#failed.set(name, error);
      this.#log('error', `autounlock: ${name} failed: ${error}`);
    }
    const others = [...this.#failed].filter(([, error]) => error === WRONG || error === NOT_GIVEN);
    if (others.length > 0) {
      const names = others.map(([name]) => name).join(', ');
      const what =
        'they have passphrases of their own: unlock them, or give these in REDOUBT_AUTOUNLOCK_PASSPHRASES_FILE';
      this.#log('warn', `autounlock: still locked: ${names} (${what})`);
    }
    if (this.#passedOver.length > 0) {
      this.#log('info', `autounlock: passed over ${this.#passedOver.join(', ')} (locked on purpose)`);
    }
    const count = `unlocked ${opened.size}/${wanted.length} keys`;
    this.#log('info', `autounlock: enabled (source=${this.#from.join(',')}), ${count} in ${ms}ms`);
  }

  #log(level: LogLine['level'], message: string): void {
    this.#options.log({ level, message, fields: {} });
  }
}

const NOT_GIVEN = 'no passphrase is given for it';
