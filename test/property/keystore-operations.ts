/** What is done to a keystore, each from a state of its own, and what must hold while it is done and after it. */
import { createCipheriv, createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import Database from 'better-sqlite3';
import { nsecEncode } from 'nostr-tools/nip19';
import { getPublicKey } from 'nostr-tools/pure';
import { removeLegacy, unproven } from '../../prisma-compat/remove-legacy.ts';
import { resealKeys, standingOf, type Upgrade } from '../../prisma-compat/upgrade-keys.ts';
import { Link } from '../../src/actor/link.ts';
import { nobleCurve } from '../../src/curve/noble.ts';
import { change } from '../../src/keystore/change.ts';
import { changedTogether } from '../../src/keystore/changed-together.ts';
import { create } from '../../src/keystore/create.ts';
import { KeystoreFiles } from '../../src/keystore/files.ts';
import { Lock } from '../../src/keystore/lock.ts';
import { handOn } from '../../src/keystore/passphrase-port.ts';
import { planChange, planCreate } from '../../src/keystore/plan.ts';
import { prepare } from '../../src/keystore/prepare.ts';
import type { ChangeResult, UnlockerToVault } from '../../src/keystore/protocol.ts';
import { bytes, LOG_N } from '../keystore/setup.ts';

/** A key that somebody was told of: null passphrases mean that it is gone. */
export interface Known {
  name: string;
  pubkey: string;
  privateKey: string | null;
  passphrases: string[];
  /** Whether its file may be gone. */
  gone: 'never' | 'perhaps' | 'surely';
}
export interface World {
  root: string;
  known: Known[];
  random: (size: number) => Uint8Array<ArrayBuffer>;
}
export type Outcome = { ok: true; known: Known[] } | { ok: false; refusal: string };

export interface Operation {
  name: string;
  from: 'nothing' | 'keys' | 'leftovers' | 'legacy' | 'resealed';
  /** What holds from its beginning to its end. */
  during: (known: Known[]) => Known[];
  run: (world: World) => Promise<Outcome>;
  /** What else must hold, during it and after it; throws. */
  check?: (world: World, done: boolean) => void;
  /** Repeated after it was done all the same: the old passphrase is none any more. */
  refusedWhenDone?: string;
}

export const keystoreOf = ({ root }: { root: string }) => join(root, 'keystore');
const configOf = ({ root }: { root: string }) => join(root, 'nsecbunker.json');
const LEGACY = ['plain', 'encrypted', 'without a row'] as const;
const privateKeyOf = (name: string) => createHash('sha256').update(name).digest();

function known(name: string, passphrase: string, pubkey?: string): Known {
  const privateKey = pubkey === undefined ? privateKeyOf(name) : null;
  return {
    name,
    pubkey: pubkey ?? getPublicKey(privateKey!),
    privateKey: privateKey?.toString('hex') ?? null,
    passphrases: [passphrase],
    gone: 'never',
  };
}

/** A vault that takes what it is given, or does not. */
function vault(takes: boolean): { port: MessagePort; close: () => void } {
  const { port1, port2 } = new MessageChannel();
  const link = new Link<Record<never, never>, UnlockerToVault>(port1, {
    keep: () => {
      if (!takes) throw new Error('the vault is gone');
      return null;
    },
    another: () => {
      throw new Error('not here');
    },
  });
  return { port: port2, close: () => link.close() };
}

async function make(world: World, name: string, passphrase: string, imported: boolean, takes = true): Promise<Outcome> {
  const keystore = keystoreOf(world);
  const message = {
    passphrase: bytes(passphrase),
    ...(imported ? { imported: bytes(privateKeyOf(name).toString('hex')) } : {}),
  };
  const asked = { op: 'plan', for: 'create', keystore, logN: LOG_N, timeoutMs: 1000 } as const;
  const plan = await planCreate({ ...asked, source: { port: handOn(message) } });
  if (!plan.ok) return plan;
  const { port, close } = vault(takes);
  try {
    const { ok: _, ...planned } = plan;
    const taken = world.known.map(({ name, pubkey }) => ({ pubkey, refusal: `it is ${name}` }));
    const own = { lock: Lock.memory(), task: 1, timeoutMs: 1000, vault: port, taken };
    const task = { op: 'create', keystore, logN: LOG_N, name, ...planned, ...own } as const;
    const made = await create(task, world.random, async () => nobleCurve(world.random));
    if (!made.ok) return made;
    return { ok: true, known: [...world.known, known(name, passphrase, imported ? undefined : made.pubkey)] };
  } finally {
    close();
    port.close();
    plan.passphrase.close();
  }
}

async function reseal(world: World, name: string | null, old: string, replacement: string): Promise<Outcome> {
  const keystore = keystoreOf(world);
  const pubkey = name === null ? null : world.known.find((key) => key.name === name)!.pubkey;
  const source = { port: handOn({ passphrase: bytes(old), newPassphrase: bytes(replacement) }) };
  const asked = { op: 'plan', for: 'change', keystore, logN: LOG_N, pubkey, most: 1024, timeoutMs: 1000 } as const;
  const plan = await planChange({ ...asked, source });
  if (!plan.ok) return plan;
  try {
    const { parts, slots, seen, untried } = plan;
    const own = { lock: Lock.memory(), task: 1, timeoutMs: 1000 };
    const results: ChangeResult[] = [];
    for (const part of parts) {
      const task = { op: 'change', keystore, logN: LOG_N, pubkey, slots, seen, ...part, ...own } as const;
      results.push(await change(task, world.random));
    }
    const changed = changedTogether(results, untried);
    if (!changed.ok) return changed;
    if (changed.failed.length > 0) return { ok: false, refusal: JSON.stringify(changed.failed) };
    return { ok: true, known: moved(world.known, name, old, [replacement]) };
  } finally {
    for (const { passphrase } of plan.parts) passphrase.close();
  }
}

function moved(all: Known[], name: string | null, old: string, passphrases: string[]): Known[] {
  return all.map((key) =>
    (name === null || key.name === name) && key.passphrases.includes(old) ? { ...key, passphrases } : key,
  );
}

const gone = (all: Known[], name: string, how: 'perhaps' | 'surely') =>
  all.map((key) => (key.name === name ? { ...key, gone: how } : key));

function upgradeOf(world: World): Upgrade {
  const db = new Database(join(world.root, '..', 'keys.db'));
  const { random } = world;
  const names = existsSync(configOf(world)) ? Object.keys(JSON.parse(readFileSync(configOf(world), 'utf8')).keys) : [];
  const files = new KeystoreFiles(keystoreOf(world));
  return { file: configOf(world), names, files, db, curve: nobleCurve(random), random, now: 1 };
}

async function upgrade(world: World): Promise<Outcome> {
  const parts = upgradeOf(world);
  try {
    const todo = standingOf(parts).filter(({ state }) => state === 'legacy');
    const done = resealKeys(parts, todo, bytes('legacy'), bytes('new'), LOG_N);
    if (!done.ok) return done;
    if (done.left.length > 0) return { ok: false, refusal: JSON.stringify(done.left) };
    return { ok: true, known: LEGACY.map((name) => known(name, 'new')) };
  } finally {
    parts.db.close();
  }
}

async function takeOut(world: World): Promise<Outcome> {
  const parts = upgradeOf(world);
  try {
    const resealed = standingOf(parts).filter(({ state }) => state === 'resealed');
    const closed = unproven(parts.files, parts.curve, resealed, bytes('new'));
    if (closed.length > 0) return { ok: false, refusal: JSON.stringify(closed) };
    const refusal = removeLegacy(
      parts.file,
      resealed.map(({ name }) => name),
    );
    return refusal === null ? { ok: true, known: world.known } : { ok: false, refusal };
  } finally {
    parts.db.close();
  }
}

/** What was in nsecbunker.json is there, or in the keystore already, and whatever else was in it is there. */
function checkConfig(world: World): string[] {
  const config = JSON.parse(readFileSync(configOf(world), 'utf8'));
  if (config.admin.npubs[0] !== 'npub') throw new Error('nsecbunker.json lost what is no key');
  return Object.keys(config.keys);
}

function writeLegacy(world: World): void {
  const encrypted = (name: string) => {
    const text = nsecEncode(privateKeyOf(name));
    const cipher = createCipheriv('aes-256-cbc', createHash('sha256').update('legacy').digest(), Buffer.alloc(16, 7));
    return { iv: Buffer.alloc(16, 7).toString('hex'), data: cipher.update(text, 'utf8', 'hex') + cipher.final('hex') };
  };
  const keys = {
    plain: { key: privateKeyOf('plain').toString('hex') },
    encrypted: encrypted('encrypted'),
    'without a row': encrypted('without a row'),
  };
  writeFileSync(configOf(world), JSON.stringify({ admin: { npubs: ['npub'] }, keys }, null, 2));
  const db = new Database(join(world.root, '..', 'keys.db'));
  db.exec(`CREATE TABLE "Key" (keyName TEXT, createdAt, updatedAt, pubkey TEXT, deletedAt, lockedAt);
    CREATE TABLE redoubt_meta (name TEXT, value TEXT)`);
  const insert = db.prepare('INSERT INTO "Key" (keyName, pubkey) VALUES (?, ?)');
  for (const name of ['plain', 'encrypted']) insert.run(name, getPublicKey(privateKeyOf(name)));
  db.close();
}

/** What an operation begins with. @returns what is known then */
export async function begin(from: Operation['from'], world: World): Promise<Known[]> {
  mkdirSync(world.root, { recursive: true });
  if (from === 'nothing') return [];
  if (from === 'legacy' || from === 'resealed') {
    writeLegacy(world);
    return from === 'legacy' ? [] : must(await upgrade(world));
  }
  await prepare(keystoreOf(world));
  for (const [name, passphrase] of [
    ['a', 'shared'],
    ['b', 'shared'],
    ['c', 'own'],
  ] as const) {
    world.known = must(await make(world, name, passphrase, name === 'b'));
  }
  const leftovers = from === 'leftovers' ? ['a', 'b', 'c'] : [];
  for (const digit of leftovers)
    writeFileSync(join(keystoreOf(world), `.keystore.json.${digit.repeat(16)}.tmp`), '{"ver');
  return world.known;
}

function must(outcome: Outcome): Known[] {
  if (!outcome.ok) throw new Error(outcome.refusal);
  return outcome.known;
}

const same = (all: Known[]) => all;
const keyFiles = (world: World) =>
  readdirSync(keystoreOf(world)).filter((name) => /^[0-9a-f]{64}\.json$/.test(name)).length;

async function start(world: World): Promise<Outcome> {
  const prepared = await prepare(keystoreOf(world));
  return prepared.ok ? { ok: true, known: world.known } : prepared;
}

export const OPERATIONS: Operation[] = [
  {
    name: 'start with no keystore',
    from: 'nothing',
    during: same,
    run: start,
  },
  { name: 'start after a crash', from: 'leftovers', during: same, run: start },
  { name: 'create the first', from: 'nothing', during: same, run: (world) => make(world, 'x', 'new', false) },
  { name: 'create', from: 'keys', during: same, run: (world) => make(world, 'x', 'shared', false) },
  {
    name: 'create with another passphrase',
    from: 'keys',
    during: same,
    run: (world) => make(world, 'x', 'new', false),
  },
  { name: 'import', from: 'keys', during: same, run: (world) => make(world, 'x', 'new', true) },
  {
    name: 'create without a vault',
    from: 'keys',
    during: same,
    run: async (world) => {
      const before = keyFiles(world);
      const made = await make(world, 'x', 'shared', false, false);
      if (made.ok) return { ok: false, refusal: 'it was made' };
      if (keyFiles(world) > before) return { ok: false, refusal: 'what was refused is still there' };
      return { ok: true, known: world.known };
    },
  },
  {
    name: 'change the passphrase of all',
    from: 'keys',
    during: (all) => moved(all, null, 'shared', ['shared', 'new']),
    run: (world) => reseal(world, null, 'shared', 'new'),
  },
  {
    name: 'change the passphrase of one',
    from: 'keys',
    during: (all) => moved(all, 'a', 'shared', ['shared', 'new']),
    run: (world) => reseal(world, 'a', 'shared', 'new'),
    refusedWhenDone: 'wrong passphrase',
  },
  {
    name: 'change the passphrase of one to that of another',
    from: 'keys',
    during: (all) => moved(all, 'a', 'shared', ['shared', 'own']),
    run: (world) => reseal(world, 'a', 'shared', 'own'),
    refusedWhenDone: 'wrong passphrase',
  },
  {
    name: 'purge',
    from: 'keys',
    during: (all) => gone(all, 'a', 'perhaps'),
    run: async (world) => {
      new KeystoreFiles(keystoreOf(world)).removeKey(world.known.find(({ name }) => name === 'a')!.pubkey);
      return { ok: true, known: gone(world.known, 'a', 'surely') };
    },
  },
  {
    name: 'upgrade',
    from: 'legacy',
    during: same,
    run: upgrade,
    check: (world) => {
      if (checkConfig(world).length !== LEGACY.length) throw new Error('the old file was touched');
    },
  },
  {
    name: 'take out of the old file',
    from: 'resealed',
    during: same,
    run: takeOut,
    check: (world, done) => {
      const names = checkConfig(world);
      if (names.length !== 0 && (done || names.length !== LEGACY.length)) throw new Error('some keys were taken out');
    },
  },
];
