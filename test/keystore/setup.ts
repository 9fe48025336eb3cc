/** What the tests of the keystore share: folders, a vault and a pool in real threads, keys sealed by hand. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type MessagePort, Worker } from 'node:worker_threads';
import { Link } from '../../src/actor/link.ts';
import { asSecret, type Secret } from '../../src/actor/protocol.ts';
import { nobleCurve } from '../../src/curve/noble.ts';
import { deriveUnsealingKey } from '../../src/keystore/derive.ts';
import { handOn } from '../../src/keystore/passphrase-port.ts';
import { UnlockPool, type UnlockPoolOptions } from '../../src/keystore/pool.ts';
import type {
  CreateResult,
  MainToVault,
  PassphraseMessage,
  PassphraseSource,
  SealedKey,
  Slot,
  TakenKey,
  UnlockResult,
  VaultToMain,
} from '../../src/keystore/protocol.ts';
import { release } from '../../src/keystore/release.ts';
import { seal } from '../../src/keystore/seal.ts';

export const LOG_N = 14;
export const UNLOCK_WORKER = join(import.meta.dirname, '../../workers/unlock.ts');
const VAULT_WORKER = join(import.meta.dirname, '../../workers/vault.ts');

const folders: string[] = [];
process.on('exit', () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** A folder of its own, removed at the end. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'redoubt-keystore-'));
  folders.push(folder);
  return folder;
}

export const random = (size: number) => new Uint8Array(randomBytes(size));

export function bytes(text: string): Secret {
  return asSecret(new TextEncoder().encode(text));
}

export function passphrase(text: string, more: Omit<PassphraseMessage, 'passphrase'> = {}): PassphraseSource {
  return { port: handOn({ passphrase: bytes(text), ...more }) };
}

export function newKey(): { privateKey: Secret; pubkey: string } {
  const privateKey = asSecret(random(32));
  const key = nobleCurve(random).openKey(privateKey);
  return { privateKey, pubkey: Buffer.from(key.publicKey).toString('hex') };
}

/** A key sealed as the unlockers do it, without one. */
export function sealed(name: string, slot: Slot, kek: Secret): { privateKey: Secret; file: SealedKey } {
  const { privateKey, pubkey } = newKey();
  const file = seal({ name, pubkey, privateKey }, slot, deriveUnsealingKey(kek, pubkey), random(24));
  return { privateKey, file };
}

/** A pool and a vault, each in threads of its own, and what the main thread does between them. */
export class Custodian {
  readonly keystore = join(temporaryFolder(), 'keystore');
  readonly vault: Link<MainToVault, VaultToMain>;
  readonly pool: UnlockPool;
  readonly #vaultThread = new Worker(VAULT_WORKER, { env: {} });

  constructor(options: Partial<UnlockPoolOptions> = {}) {
    this.vault = new Link<MainToVault, VaultToMain>(this.#vaultThread, { log: () => {} });
    this.pool = new UnlockPool({ filename: UNLOCK_WORKER, ...options });
  }

  async create(name: string, source: PassphraseSource, taken: TakenKey[] = []): Promise<CreateResult> {
    const vault = await this.vault.ask('intake', null);
    return this.pool.create({ op: 'create', keystore: this.keystore, logN: LOG_N, name, source, vault, taken });
  }

  /** @throws Error when the key is refused */
  async created(name: string, source: PassphraseSource): Promise<string> {
    const result = await this.create(name, source);
    if (!result.ok) throw new Error(result.refusal);
    return result.pubkey;
  }

  async unlock(keys: { name: string; pubkey: string }[], source: PassphraseSource): Promise<UnlockResult> {
    const vault = await this.vault.ask('intake', null);
    return this.pool.unlock({ op: 'unlock', keystore: this.keystore, keys, source, vault });
  }

  async isUnlocked(pubkey: string): Promise<boolean> {
    const port = await released(this.vault, pubkey);
    port?.close();
    return port !== null;
  }

  async close(): Promise<void> {
    await this.pool.close();
    await this.#vaultThread.terminate();
  }
}

/** A port on which the vault has put what opens the key; null when it does not hold that. */
export async function released(vault: Link<MainToVault, VaultToMain>, pubkey: string): Promise<MessagePort | null> {
  const { port, released } = release(vault, pubkey);
  if ((await released) === 'released') return port;
  port.close();
  return null;
}
