import type { MessagePort } from 'node:worker_threads';
import { type LegacyFile, LegacyKeys } from '../../prisma-compat/legacy-keys.ts';
import type { Link } from '../actor/link.ts';
import type { UnlockPool } from '../keystore/pool.ts';
import type { CreateResult, MainToVault, UnlockResult, VaultToMain } from '../keystore/protocol.ts';
import type { LogLine, MainToPolicy, Outcome, Pairing, PolicyToMain } from '../policy/protocol.ts';
import type { Blanks } from './blanks.ts';
import type { Keys } from './keys.ts';

export interface CustodyOptions {
  keystore: string;
  logN: number;
  pool: UnlockPool;
  keys: Keys;
  blanks: Blanks;
  /** nsecbunker.json, whose keys nsecbunkerd left there. */
  file: LegacyFile;
  log(line: LogLine): void;
  vault(): Link<MainToVault, VaultToMain>;
  policy(): Link<MainToPolicy, PolicyToMain>;
  /** Resolves when the relays deliver the requests of exactly the keys that are unlocked now. */
  resubscribe(): Promise<void>;
}

/** Where a passphrase comes from; the main thread hands it on and does not look at it. */
export type Source = { port: MessagePort } | { file: string };

/** Creating, unlocking and locking keys, as the main thread does it: it moves ports between workers that hold secrets. */
export class Custody {
  readonly #options: CustodyOptions;
  readonly #legacy: LegacyKeys;

  constructor(options: CustodyOptions) {
    this.#options = options;
    this.#legacy = new LegacyKeys(options);
  }

  /** At start: every key is known by its name, and what needs no passphrase is unlocked. */
  async begin(): Promise<void> {
    for (const { name, pubkey, deletedAt } of await this.#options.policy().ask('keys', null)) {
      if (deletedAt === null && pubkey !== '') this.#options.keys.add(name, pubkey);
    }
    await this.openPlain();
  }

  /** A vault that was restarted has forgotten what needs no passphrase too. */
  async openPlain(): Promise<void> {
    await this.#legacy.openPlain();
  }

  /**
   * Answers when a client could connect: file durable, Key row committed, subscription live.
   *
   * @param pairing what is to be committed with the row
   */
  async create(name: string, source: Source, pairing?: Pairing): Promise<CreateResult> {
    const { pool, keystore, logN, keys } = this.#options;
    try {
      const rows = await this.#options.policy().ask('keys', null);
      if (rows.some((row) => row.name === name)) return { ok: false, refusal: `a key named ${name} exists already` };
      const taken = rows.map((row) => ({ pubkey: row.pubkey, name: row.name }));
      const vault = await this.#options.vault().ask('intake', null);
      const created = await pool.create({ op: 'create', keystore, logN, name, source, vault, taken });
      if (!created.ok) return created;
      const { pubkey } = created;
      const wanted = pairing === undefined ? { name, pubkey } : { name, pubkey, pairing };
      const row = await this.#options.policy().ask('createKey', wanted);
      if (!row.ok) {
        await this.#options.vault().ask('forget', { pubkey });
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
    const { keys, pool, keystore } = this.#options;
    const result: UnlockResult = { unlocked: [], failed: [] };
    try {
      const locked: { name: string; pubkey: string }[] = [];
      for (const name of names) {
        const key = keys.named(name);
        if (key === undefined && this.#legacy.has(name)) locked.push({ name, pubkey: '' });
        else if (key === undefined) result.failed.push({ name, pubkey: '', error: `no key named ${name}` });
        else if (key.unlocked && key.state !== 'quarantined') result.unlocked.push(key.pubkey);
        else locked.push({ name, pubkey: key.pubkey });
      }
      if (locked.length === 0) return result;
      const vault = await this.#options.vault().ask('intake', null);
      const file = this.#legacy.fileOf(locked);
      const task = { op: 'unlock', keystore, keys: locked, source, vault } as const;
      const { fromFile, ...opened } = await pool.unlock(file === null ? task : { ...task, legacy: file });
      const older = fromFile === undefined ? { unlocked: [], failed: [] } : await this.#legacy.settle(fromFile);
      for (const pubkey of opened.unlocked) {
        const key = keys.get(pubkey);
        // Deleted while it was being opened.
        if (key === undefined) await this.#options.vault().ask('forget', { pubkey });
        else key.unlock();
      }
      await this.#options.resubscribe();
      return {
        ...opened,
        unlocked: [...result.unlocked, ...opened.unlocked, ...older.unlocked],
        failed: [...result.failed, ...opened.failed, ...older.failed],
      };
    } finally {
      closeSource(source);
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
    const unlocked = found.filter((key) => key.unlocked);
    if (deleted) for (const key of found) keys.remove(key.pubkey);
    await Promise.all(
      unlocked.map(async (key) => {
        await Promise.all([key.lock(), this.#options.vault().ask('forget', { pubkey: key.pubkey })]);
      }),
    );
    await this.#options.resubscribe();
    return { ok: true, value: unlocked.length };
  }
}

/** A port that was not handed on (a refusal before the work began) is closed, and what waits on it is discarded. */
function closeSource(source: Source): void {
  if ('port' in source) source.port.close();
}
