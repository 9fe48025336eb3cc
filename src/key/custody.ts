import { type LegacyFile, LegacyKeys } from '../../prisma-compat/legacy-keys.ts';
import type { Link } from '../actor/link.ts';
import { npubEncode } from '../admin/npub.ts';
import type { UnlockPool } from '../keystore/pool.ts';
import {
  type ChangeResult,
  type CreateResult,
  type MainToVault,
  type PassphraseSource,
  UNANSWERED,
  type UnlockResult,
  type VaultToMain,
} from '../keystore/protocol.ts';
import { isPubkey } from '../keystore/schema.ts';
import type { LogLine, MainToPolicy, Outcome, Pairing, PolicyToMain } from '../policy/protocol.ts';
import { RESERVED } from '../policy/reserved.ts';
import { EX_CONFIG, StartRefusal } from '../start-refusal.ts';
import type { Blanks } from './blanks.ts';
import type { Keys } from './keys.ts';
import { LostKeys } from './lost-keys.ts';

export interface CustodyOptions {
  keystore: string;
  logN: number;
  pool: UnlockPool;
  keys: Keys;
  blanks: Blanks;
  /** Public keys of the admins and of the daemon, which no key may have. */
  reserved(): readonly string[];
  /** nsecbunker.json, whose keys nsecbunkerd left there. */
  file: LegacyFile;
  log(line: LogLine): void;
  vault(): Link<MainToVault, VaultToMain>;
  policy(): Link<MainToPolicy, PolicyToMain>;
  /** Resolves when the relays deliver the requests of exactly the keys that are unlocked now. */
  resubscribe(): Promise<void>;
}

/** Where a passphrase comes from; the main thread hands it on and does not look at it. */
export type Source = PassphraseSource;

type KeyRef = { name: string; pubkey: string };

/** A key that was not deleted. */
export interface KnownKey extends KeyRef {
  /** Locked on purpose: only an explicit unlock opens it. */
  lockedAt: number | null;
}

/** Keys that one passphrase is tried on. */
export interface KeyGroup {
  keys: readonly KeyRef[];
  source: Source;
}

/** What a new key is to be besides its name. */
export interface Wanted {
  /** To be committed with its row. */
  pairing?: Pairing;
  /** The source brings the private key too. */
  imports?: boolean;
}

const LEGACY = 'the key lies in nsecbunker.json: see to it with "redoubt key upgrade --remove-legacy" first';
const LEGACY_DELETED =
  'the key lies in nsecbunker.json: stop the daemon and take it out with "redoubt key upgrade --remove-deleted" first';

const DAMAGED_ROW = 'a key is passed over: its pubkey in the database is damaged, put it back from a backup';

/** Groups that are opened at once. */
const LANES = 4;

/** Creating, unlocking and locking keys, as the main thread does it: it moves ports between workers that hold secrets. */
export class Custody {
  readonly #options: CustodyOptions;
  readonly #legacy: LegacyKeys;
  readonly lost: LostKeys;
  /** For each opening in work: names of the keys that were locked or deleted since it began. */
  readonly #opening = new Set<Set<string>>();
  /** Names of keys that were locked on purpose: they are locked here before the records say so. */
  readonly #locked = new Set<string>();
  #importing: Promise<void> = Promise.resolve();

  constructor(options: CustodyOptions) {
    this.#options = options;
    this.#legacy = new LegacyKeys(options);
    this.lost = new LostKeys(options.keystore, options.keys);
  }

  /** At start: every key is known by its name, and what needs no passphrase is unlocked. @throws StartRefusal */
  async begin(): Promise<void> {
    const refusal = await this.reservedHere(this.#options.reserved());
    if (refusal !== null) throw new StartRefusal(refusal, EX_CONFIG);
    const { keys, log } = this.#options;
    const known = await this.known();
    for (const { name, pubkey } of known) {
      if (isPubkey(pubkey)) keys.add(name, pubkey);
      // Relays refuse a whole subscription for one word in it that is no public key. Of '' the key will tell.
      else if (pubkey !== '') log({ level: 'error', message: DAMAGED_ROW, fields: { key: name } });
    }
    this.lost.look(known.filter(({ name, pubkey }) => isPubkey(pubkey) && !this.#legacy.has(name)));
    const lost = this.lost.reason();
    if (lost !== null) log({ level: 'error', message: lost, fields: {} });
    await this.#legacy.openPlain();
  }

  /** A vault that was restarted has forgotten what needs no passphrase too. The subscriptions are the caller's to renew. */
  async openPlain(): Promise<void> {
    await this.#legacy.openPlain();
  }

  get keys(): Keys {
    return this.#options.keys;
  }

  /** Every key that was not deleted, as the records have it or are about to. */
  async known(): Promise<KnownKey[]> {
    const rows = await this.#options.policy().ask('keys', null);
    return rows
      .filter((row) => row.deletedAt === null)
      .map(({ name, pubkey, lockedAt }) => ({
        name,
        pubkey,
        lockedAt: lockedAt ?? (this.#locked.has(name) ? Date.now() : null),
      }));
  }

  /** Why none of these public keys may be an admin's or the daemon's: a key has it. Null when none has. */
  async reservedHere(pubkeys: readonly string[]): Promise<string | null> {
    const held = (await this.known()).find(({ pubkey }) => pubkeys.includes(pubkey));
    if (held === undefined) return null;
    const npub = npubEncode(held.pubkey);
    const here = `${npub} is an admin's or the daemon's, and key ${held.name} too, whose clients could administrate`;
    return `${here}: change admin.npubs or admin.key`;
  }

  /** Subscribes to the requests of exactly the keys that take them now. */
  resubscribe(): Promise<void> {
    return this.#options.resubscribe();
  }

  /** Answers when a client could connect: file durable, Key row committed, subscription live. */
  async create(name: string, source: Source, { pairing, imports = false }: Wanted = {}): Promise<CreateResult> {
    if (!imports) return this.#create(name, source, imports, pairing);
    // Two imports of one key under two names must not see each other's file before there is a row: one at a time.
    const before = this.#importing;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#importing = promise;
    await before;
    return this.#create(name, source, imports, pairing).finally(resolve);
  }

  async #create(name: string, source: Source, imports: boolean, pairing?: Pairing): Promise<CreateResult> {
    const { pool, keystore, logN, keys } = this.#options;
    try {
      const rows = await this.#options.policy().ask('keys', null);
      if (rows.some((row) => row.name === name)) return { ok: false, refusal: `a key named ${name} exists already` };
      const taken = [
        ...rows.map((row) => ({ pubkey: row.pubkey, refusal: `this key exists already, as ${row.name}` })),
        ...this.#options.reserved().map((pubkey) => ({ pubkey, refusal: RESERVED })),
      ];
      const vault = await this.#options.vault().ask('intake', null);
      const created = await pool.create({ op: 'create', keystore, logN, name, source, vault, taken });
      if (!created.ok) return created;
      const { pubkey } = created;
      const wanted = pairing === undefined ? { name, pubkey } : { name, pubkey, pairing };
      const row = await this.#options.policy().ask('createKey', wanted);
      if (!row.ok) {
        await this.#options.vault().ask('forget', { pubkey });
        // A key that was made here was told to nobody; an imported one may be all that its owner has.
        if (!imports) await pool.remove(keystore, pubkey);
        return { ok: false, refusal: row.refusal };
      }
      keys.add(name, pubkey).unlock();
      await this.#options.resubscribe();
      return created;
    } finally {
      closeSource(source);
    }
  }

  /** Unlocks keys; a key that is unlocked already succeeds without a derivation. */
  async unlock(names: string[], source: Source): Promise<UnlockResult> {
    const { keys } = this.#options;
    const result: UnlockResult = { unlocked: [], failed: [] };
    try {
      const locked: KeyRef[] = [];
      for (const name of names) {
        this.#locked.delete(name);
        const key = keys.named(name);
        if (key === undefined && this.#legacy.has(name)) locked.push({ name, pubkey: '' });
        else if (key === undefined) result.failed.push({ name, pubkey: '', error: `no key named ${name}` });
        else if (key.unlocked && key.state !== 'quarantined') result.unlocked.push(key.pubkey);
        else locked.push({ name, pubkey: key.pubkey });
      }
      if (locked.length === 0) return result;
      const [opened] = await this.open([{ keys: locked, source }], true);
      await this.#options.resubscribe();
      return {
        ...opened!,
        unlocked: [...result.unlocked, ...opened!.unlocked],
        failed: [...result.failed, ...opened!.failed],
      };
    } finally {
      closeSource(source);
    }
  }

  /**
   * Has keys opened, each group with the passphrase of its source, and lets them take requests: all at once in the end,
   * or as they come. The subscriptions are the caller's to renew.
   */
  async open(groups: readonly KeyGroup[], asTheyCome = false): Promise<UnlockResult[]> {
    const overtaken = new Set<string>();
    this.#opening.add(overtaken);
    const onPart = (pubkeys: readonly string[]) => {
      for (const key of pubkeys.map((pubkey) => this.#options.keys.get(pubkey))) {
        if (key !== undefined && !overtaken.has(key.name)) key.unlock();
      }
    };
    try {
      const results: UnlockResult[] = [];
      const left = [...groups.entries()];
      const lane = async () => {
        for (let next = left.shift(); next !== undefined; next = left.shift()) {
          results[next[0]] = await this.#openGroup(next[1], asTheyCome ? onPart : undefined);
        }
      };
      await Promise.all(Array.from({ length: LANES }, lane));
      for (const result of results) await this.#take(result, overtaken);
      return results;
    } finally {
      this.#opening.delete(overtaken);
    }
  }

  /**
   * Ends the keys' threads and makes the vault forget them, before anything else is said about it. `deleted`: then the
   * keys are forgotten altogether; those that are not known are as deleted as can be.
   */
  async lock(names: string[], deleted = false): Promise<Outcome<number>> {
    const { keys } = this.#options;
    const unknown = names.find((name) => keys.named(name) === undefined && !this.#legacy.has(name));
    if (unknown !== undefined && !deleted) return { ok: false, refusal: `no key named ${unknown}` };
    const found = names.map((name) => keys.named(name)).filter((key) => key !== undefined);
    const unlocked = found.filter((key) => key.unlocked).length;
    if (deleted) for (const key of found) keys.remove(key.pubkey);
    for (const name of names) {
      for (const overtaken of this.#opening) overtaken.add(name);
      if (deleted) this.#locked.delete(name);
      else this.#locked.add(name);
    }
    const listening = found.filter((key) => key.listens);
    await Promise.all(
      listening.map(async (key) => {
        await Promise.all([key.lock(), this.#options.vault().ask('forget', { pubkey: key.pubkey })]);
      }),
    );
    await this.#options.resubscribe();
    return { ok: true, value: unlocked };
  }

  /**
   * Has keys sealed anew; nothing else changes, whether they are locked or not.
   *
   * @param name null: every key that the old passphrase opens
   */
  async change(name: string | null, source: Source): Promise<ChangeResult> {
    const { pool, keystore, logN, keys } = this.#options;
    try {
      if (name !== null && this.#legacy.has(name)) return { ok: false, refusal: LEGACY };
      const key = name === null ? null : keys.named(name);
      if (key === undefined) return { ok: false, refusal: `no key named ${name}` };
      return await pool.change({ op: 'change', keystore, logN, pubkey: key?.pubkey ?? null, source });
    } finally {
      closeSource(source);
    }
  }

  /** Removes the file of a key that was deleted. */
  async purge(name: string, pubkey: string): Promise<Outcome<null>> {
    const { pool, keystore, keys } = this.#options;
    if (this.#legacy.has(name)) return { ok: false, refusal: LEGACY_DELETED };
    if (keys.get(pubkey) !== undefined) return { ok: false, refusal: 'the key is in use: delete it first' };
    return pool.remove(keystore, pubkey);
  }

  async #openGroup({ keys, source }: KeyGroup, onPart?: (pubkeys: readonly string[]) => void): Promise<UnlockResult> {
    const { pool, keystore } = this.#options;
    const vault = await this.#options
      .vault()
      .ask('intake', null)
      .catch(() => null);
    if (vault !== null) {
      const task = { op: 'unlock' as const, keystore, keys: [...keys], source, vault };
      const file = this.#legacy.fileOf(keys);
      const { fromFile, ...opened } = await pool.unlock(file === null ? task : { ...task, legacy: file }, onPart);
      if (fromFile === undefined) return opened;
      const { unlocked, failed } = await this.#legacy.settle(fromFile);
      return { ...opened, unlocked: [...opened.unlocked, ...unlocked], failed: [...opened.failed, ...failed] };
    }
    closeSource(source);
    return { unlocked: [], failed: keys.map((key) => ({ ...key, error: UNANSWERED })), refusal: UNANSWERED };
  }

  /** What was locked or deleted while it was being opened stays so. */
  async #take(result: UnlockResult, overtaken: ReadonlySet<string>): Promise<void> {
    for (const pubkey of result.unlocked.splice(0)) {
      const key = this.#options.keys.get(pubkey);
      if (key !== undefined && !overtaken.has(key.name)) {
        key.unlock();
        result.unlocked.push(pubkey);
        continue;
      }
      await this.#options
        .vault()
        .ask('forget', { pubkey })
        .catch(() => {});
      if (key !== undefined) result.failed.push({ name: key.name, pubkey, error: 'it was locked meanwhile' });
    }
  }
}

/** A port that was not handed on (a refusal before the work began) is closed, and what waits on it is discarded. */
function closeSource(source: Source): void {
  if ('port' in source) source.port.close();
}
