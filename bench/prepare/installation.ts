/**
 * An installation with as many keys and bindings as a benchmark wants, made without asking the daemon for each: key
 * files are sealed here, and rows are written by SQL, while no daemon runs on the folder.
 */
import { randomBytes, randomFillSync } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { asSecret, newSecret, type Secret } from '../../src/actor/protocol.ts';
import type { Curve } from '../../src/curve/curve.ts';
import { loadCurve } from '../../src/curve/load.ts';
import { deriveUnsealingKey } from '../../src/keystore/derive.ts';
import { seal } from '../../src/keystore/seal.ts';
import { makeSlot } from '../../src/keystore/slot.ts';
import { bytesToHex } from '../../src/nip46/hex.ts';
import { TestDaemon } from '../../test/support/daemon.ts';
import type { BoundClient } from '../load/protocol.ts';

export const PASSPHRASE = 'a passphrase of the benchmark';
/** What the daemon takes by itself: what a sweep costs depends on it. */
const LOG_N = 17;

export interface Wanted {
  keys: number;
  /** Passphrases, each with a salt of its own; keys are dealt out to them in turn. One by default. */
  slots?: number;
  logN?: number;
  /** Bindings in the database besides the one of each key, dealt out to the keys. */
  bindings?: number;
  /** For every start of the daemon. */
  env?: Record<string, string>;
  entry?: string;
}

export interface Installation {
  /** Not running. */
  daemon: TestDaemon;
  /** One for each key, bound to it. */
  clients: BoundClient[];
  /** By the key's name: only with more than one slot. */
  passphrases: { [name: string]: string };
}

/** @returns an installation that was started and stopped once, and then filled */
export async function prepareInstallation(wanted: Wanted): Promise<Installation> {
  const { env, entry } = wanted;
  const daemon = new TestDaemon({ ...(entry === undefined ? {} : { entry }), env: { ...env } });
  try {
    await daemon.start();
    await daemon.stop();
    const curve = await loadCurve();
    const { rows, passphrases } = sealKeys(join(daemon.data, 'keystore'), wanted, curve);
    const clients = bindClients(join(daemon.data, 'nsecbunker.db'), rows, wanted.bindings ?? 0, curve);
    return { daemon, clients, passphrases };
  } catch (error) {
    await daemon.remove();
    throw error;
  }
}

interface KeyRow {
  name: string;
  pubkey: string;
}

const random = (size: number) => randomFillSync(newSecret(size));

function sealKeys(folder: string, { keys, slots = 1, logN = LOG_N }: Wanted, curve: Curve) {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const made = Array.from({ length: slots }, (_, i) => {
    const passphrase = slots === 1 ? PASSPHRASE : `${PASSPHRASE} ${i}`;
    return { passphrase, ...makeSlot(asSecret(new TextEncoder().encode(passphrase)), logN, random) };
  });
  const file = join(folder, 'keystore.json');
  // The demonstration's key keeps its slot.
  const demo = JSON.parse(readOr(file, '{"version":1,"slots":[]}')) as { slots: unknown[] };
  writeFileSync(file, JSON.stringify({ version: 1, slots: [...demo.slots, ...made.map(({ slot }) => slot)] }), {
    mode: 0o600,
  });
  const rows: KeyRow[] = [];
  const passphrases: { [name: string]: string } = {};
  for (let i = 0; i < keys; i++) {
    const name = `bench-${i}`;
    const { slot, kek, passphrase } = made[i % slots]!;
    const privateKey: Secret = random(32);
    const key = curve.openKey(privateKey);
    const pubkey = bytesToHex(key.publicKey);
    key.wipe();
    const sealed = seal({ name, pubkey, privateKey }, slot, deriveUnsealingKey(kek, pubkey), random(24));
    writeFileSync(join(folder, `${pubkey}.json`), JSON.stringify(sealed), { mode: 0o600 });
    rows.push({ name, pubkey });
    if (slots > 1) passphrases[name] = passphrase;
  }
  return { rows, passphrases };
}

function bindClients(path: string, rows: KeyRow[], more: number, curve: Curve): BoundClient[] {
  const db = new Database(path);
  const now = Date.now();
  const clients: BoundClient[] = [];
  db.pragma('synchronous = OFF');
  db.transaction(() => {
    const policy = db
      .prepare('INSERT INTO "Policy" (name, createdAt, updatedAt) VALUES (?, ?, ?)')
      .run('bench', now, now).lastInsertRowid;
    db.prepare('INSERT INTO "PolicyRule" (method, kind, policyId) VALUES (?, ?, ?)').run('sign_event', 'all', policy);
    const key = db.prepare('INSERT INTO "Key" (keyName, createdAt, updatedAt, pubkey) VALUES (?, ?, ?, ?)');
    const user = db.prepare('INSERT INTO "KeyUser" (keyName, userPubkey, createdAt, updatedAt) VALUES (?, ?, ?, ?)');
    for (const { name, pubkey } of rows) {
      key.run(name, now, now, pubkey);
      const secretKey = randomBytes(32);
      const client = curve.openKey(asSecret(new Uint8Array(secretKey)));
      user.run(name, bytesToHex(client.publicKey), now, now);
      client.wipe();
      clients.push({ secretKey: secretKey.toString('hex'), remote: pubkey });
    }
    // Clients that nobody plays: each is a row and has a token, as a real one.
    db.prepare(
      `WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :more)
       INSERT INTO "KeyUser" (keyName, userPubkey, createdAt, updatedAt)
       SELECT 'bench-' || (i % CAST(:keys AS INTEGER)), lower(hex(randomblob(32))), :now, :now FROM n WHERE :more > 0`,
    ).run({ more, keys: rows.length, now });
    db.prepare(
      `INSERT INTO "Token" (keyName, token, clientName, createdBy, createdAt, updatedAt, redeemedAt, keyUserId, policyId)
       SELECT keyName, lower(hex(randomblob(16))), 'bench', 'bench', :now, :now, :now, id, :policy
       FROM "KeyUser" WHERE keyName LIKE 'bench-%'`,
    ).run({ now, policy });
  })();
  db.close();
  return clients;
}

function readOr(path: string, otherwise: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return otherwise;
  }
}
