/**
 * Works on a keystore as the daemon does, with a pool and a vault in real threads, until it is killed: makes keys,
 * imports keys, changes the passphrase of all. Says on standard output what it begins and what it was told is done.
 */
import { createHash } from 'node:crypto';
import { writeSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { Link } from '../../src/actor/link.ts';
import { asSecret } from '../../src/actor/protocol.ts';
import { handOn } from '../../src/keystore/passphrase-port.ts';
import { UnlockPool } from '../../src/keystore/pool.ts';
import type { MainToVault, PassphraseMessage, VaultToMain } from '../../src/keystore/protocol.ts';

/** One line of the output. `passphrase`: the number of the one that holds from then on. */
export type Said =
  | { did: 'started' }
  | { begins: 'create'; name: string }
  | { begins: 'import'; name: string }
  | { did: 'create' | 'import'; name: string; pubkey: string }
  | { begins: 'change'; passphrase: number }
  | { begins: 'finish'; passphrase: number }
  | { did: 'change'; passphrase: number }
  | { failed: string };

/** What a run goes on from. */
export interface Driven {
  keystore: string;
  run: number;
  passphrase: number;
  /** A change that was begun and that nobody heard the end of. */
  pending: boolean;
  /** Names that were begun and not heard of again: made anew, and imported under another name. */
  orphan: { create: string | null; import: string | null };
  taken: { name: string; pubkey: string }[];
}

const LOG_N = 14;
const KEYS_A_ROUND = 3;

export const passphraseOf = (number: number) => `passphrase ${number}`;
/** The private key that is imported under this name, hex. */
export const privateKeyOf = (name: string) => createHash('sha256').update(name).digest('hex');

if (import.meta.main) await drive(JSON.parse(process.argv[2]!) as Driven);

async function drive({ keystore, run, passphrase, pending, orphan, taken }: Driven): Promise<void> {
  const worker = (name: string) => join(import.meta.dirname, `../../workers/${name}.ts`);
  const pool = new UnlockPool({ filename: worker('unlock') });
  const vault = new Link<MainToVault, VaultToMain>(new Worker(worker('vault'), { env: {} }), { log: () => {} });
  const bytes = (text: string) => asSecret(new TextEncoder().encode(text));

  async function make(op: 'create' | 'import', name: string, origin = name): Promise<void> {
    say({ begins: op, name });
    const message: PassphraseMessage = { passphrase: bytes(passphraseOf(passphrase)) };
    if (op === 'import') message.imported = bytes(privateKeyOf(origin));
    const source = { port: handOn(message) };
    const intake = await vault.ask('intake', null);
    const rows = taken.map(({ name, pubkey }) => ({ pubkey, refusal: `it is ${name}` }));
    const made = await pool.create({ op: 'create', keystore, logN: LOG_N, name, source, vault: intake, taken: rows });
    if (!made.ok) return fail(made.refusal);
    taken.push({ name, pubkey: made.pubkey });
    say({ did: op, name, pubkey: made.pubkey });
  }

  async function change(word: 'change' | 'finish'): Promise<void> {
    say({ begins: word, passphrase: passphrase + 1 });
    const both = { passphrase: bytes(passphraseOf(passphrase)), newPassphrase: bytes(passphraseOf(passphrase + 1)) };
    const source = { port: handOn(both) };
    const changed = await pool.change({ op: 'change', keystore, logN: LOG_N, pubkey: null, source });
    if (!changed.ok) return fail(changed.refusal);
    if (changed.failed.length > 0) return fail(JSON.stringify(changed.failed));
    passphrase++;
    say({ did: 'change', passphrase });
  }

  const prepared = await pool.prepare(keystore);
  if (!prepared.ok) return fail(prepared.refusal);
  say({ did: 'started' });
  if (pending) await change('finish');
  if (orphan.create !== null) await make('create', orphan.create);
  if (orphan.import !== null) await make('import', `${orphan.import} again`, orphan.import);
  for (let round = 0; ; round++) {
    for (let i = 0; i < KEYS_A_ROUND; i++) {
      await make(i % 2 === 0 ? 'create' : 'import', `${run}-${round}-${i}`);
    }
    await change('change');
  }
}

/** Before anything else happens. */
function say(what: Said): void {
  writeSync(1, `${JSON.stringify(what)}\n`);
}

function fail(why: string): never {
  say({ failed: why });
  process.exit(1);
}
