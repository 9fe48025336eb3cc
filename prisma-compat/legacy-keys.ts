import { availableParallelism } from 'node:os';
import type { Link } from '../src/actor/link.ts';
import { ActorError } from '../src/actor/protocol.ts';
import type { Blanks } from '../src/key/blanks.ts';
import type { Keys } from '../src/key/keys.ts';
import type { UnlockPool } from '../src/keystore/pool.ts';
import type { MainToVault, UnlockResult, VaultToMain } from '../src/keystore/protocol.ts';
import { release } from '../src/keystore/release.ts';
import type { LogLine, MainToPolicy, PolicyToMain } from '../src/policy/protocol.ts';
import type { FromFile, Held, KeyRef } from './protocol.ts';

/** nsecbunker.json as the main thread knows it: where it is and what its keys are called. */
export interface LegacyFile {
  path: string;
  config: { readonly keyNames: readonly string[]; readonly plainKeyNames: readonly string[] };
}

export interface LegacyKeysOptions {
  file: LegacyFile;
  keystore: string;
  pool: UnlockPool;
  keys: Keys;
  blanks: Blanks;
  vault(): Link<MainToVault, VaultToMain>;
  policy(): Link<MainToPolicy, PolicyToMain>;
  log(line: LogLine): void;
}

/** A check loads nothing and derives nothing. */
const CHECK_MS = 30_000;

/** The keys that nsecbunkerd left in nsecbunker.json, on the main thread: it moves ports and sees no secret. */
export class LegacyKeys {
  readonly #options: LegacyKeysOptions;
  readonly #names: ReadonlySet<string>;

  constructor(options: LegacyKeysOptions) {
    this.#options = options;
    this.#names = new Set(options.file.config.keyNames);
  }

  has(name: string): boolean {
    return this.#names.has(name);
  }

  /** The file, if any of these keys lies in it. */
  fileOf(keys: readonly KeyRef[]): string | null {
    return keys.some(({ name }) => this.has(name)) ? this.#options.file.path : null;
  }

  /** Unlocks what lies there unencrypted, as nsecbunkerd did at its start; not what an admin has locked. */
  async openPlain(): Promise<void> {
    const { file, log } = this.#options;
    if (file.config.plainKeyNames.length === 0) return;
    const failed = await this.#recover(new Set(file.config.plainKeyNames)).catch((error) => {
      if (!(error instanceof ActorError)) throw error;
      return [{ name: '', pubkey: '', error: error.message }];
    });
    for (const { name, error } of failed) {
      log({ level: 'error', message: `a key of nsecbunker.json was not unlocked: ${error}`, fields: { key: name } });
    }
  }

  async #recover(names: ReadonlySet<string>): Promise<UnlockResult['failed']> {
    const { file, keystore, pool } = this.#options;
    const rows = await this.#options.policy().ask('keys', null);
    const wanted = rows.filter((row) => names.has(row.name) && row.deletedAt === null && row.lockedAt === null);
    if (wanted.length === 0) return [];
    const keys = wanted.map(({ name, pubkey }) => ({ name, pubkey }));
    const vault = await this.#options.vault().ask('intake', null);
    const recovered = await pool.recover({ op: 'recover', file: file.path, keystore, keys, vault });
    const { unlocked, failed } = await this.settle(recovered);
    for (const pubkey of unlocked) this.#options.keys.get(pubkey)?.unlock();
    return failed;
  }

  /**
   * Has each held key checked by a thread of its own, and gives those without a row one. From when on they take requests
   * is for the caller to say.
   */
  async settle({ held, opened, failed }: FromFile): Promise<Pick<UnlockResult, 'unlocked' | 'failed'>> {
    const result: Pick<UnlockResult, 'unlocked' | 'failed'> = { unlocked: [], failed: [...failed] };
    const take = async ({ name, pubkey }: KeyRef, isNew: boolean) => {
      const refusal = isNew ? await this.#makeRow(name, pubkey) : null;
      if (refusal === null) {
        this.#options.keys.add(name, pubkey);
        result.unlocked.push(pubkey);
      } else {
        await this.#forget(pubkey);
        result.failed.push({ name, pubkey, error: refusal });
      }
    };
    for (const { isNew, ...key } of opened) await take(key, isNew);
    const waiting = [...held];
    const lane = async () => {
      for (let key = waiting.shift(); key !== undefined; key = waiting.shift()) {
        const checked = await this.#check(key);
        if (checked.ok) await take({ name: key.name, pubkey: checked.pubkey }, key.pubkey === '');
        else result.failed.push({ name: key.name, pubkey: key.pubkey, error: checked.refusal });
      }
    };
    await Promise.all(Array.from({ length: Math.min(availableParallelism(), held.length) }, lane));
    return result;
  }

  /** A thread that holds this key and never another opens it, tells its pubkey, and is ended. */
  async #check({ id, pubkey }: Held): Promise<{ ok: true; pubkey: string } | { ok: false; refusal: string }> {
    const vault = this.#options.vault();
    const thread = await this.#options.blanks.take();
    if (thread === null) {
      await this.#forget(id);
      return { ok: false, refusal: 'no thread could be started: try again' };
    }
    try {
      const { port } = release(vault, id);
      const checked = await thread.link
        .ask('check', { pubkey, vault: port }, { timeoutMs: CHECK_MS, transfer: [port] })
        .catch(() => ({ ok: false as const, refusal: 'the thread that checked the key ended: try again' }));
      if (checked.ok && (await vault.ask('rename', { from: id, to: checked.pubkey }))) return checked;
      await this.#forget(id);
      return checked.ok ? { ok: false, refusal: 'the vault was restarted meanwhile: try again' } : checked;
    } finally {
      await thread.end();
    }
  }

  async #makeRow(name: string, pubkey: string): Promise<string | null> {
    const made = await this.#options.policy().ask('createKey', { name, pubkey });
    return made.ok ? null : made.refusal;
  }

  async #forget(pubkey: string): Promise<void> {
    await this.#options
      .vault()
      .ask('forget', { pubkey })
      .catch(() => null);
  }
}
