import type Database from 'better-sqlite3';
import { type Secret, wipe } from '../src/actor/protocol.ts';
import type { Curve } from '../src/curve/curve.ts';
import { pubkeyOf } from '../src/curve/pubkey-of.ts';
import type { Random } from '../src/curve/random.ts';
import { deriveUnsealingKey } from '../src/keystore/derive.ts';
import type { KeystoreFiles } from '../src/keystore/files.ts';
import { findSlot } from '../src/keystore/find-slot.ts';
import { parseImport, wipeImport } from '../src/keystore/import.ts';
import { Lock } from '../src/keystore/lock.ts';
import { MAX_LOG_N } from '../src/keystore/schema.ts';
import { seal } from '../src/keystore/seal.ts';
import { readDateTime } from './date-time.ts';
import { legacyUnsealingKey, openLegacy } from './open-legacy.ts';
import { type Entry, readKeys, wipeEntries } from './read-keys.ts';

export interface Upgrade {
  /** nsecbunker.json */
  file: string;
  /** Its keys. */
  names: readonly string[];
  files: KeystoreFiles;
  db: Database.Database;
  curve: Curve;
  random: Random;
  /** ms since the epoch */
  now: number;
}

export type Left = { key: string; why: string };

export type Resealed = { ok: true; upgraded: string[]; left: Left[] } | { ok: false; refusal: string };

interface Row {
  pubkey: string;
  deletedAt: unknown;
}

/** Where a key of nsecbunker.json stands: `resealed` the keystore has it too. */
export type Standing = { name: string; pubkey: string | null; state: 'legacy' | 'resealed' | 'deleted' };

export function standingOf({ names, files, db }: Upgrade): Standing[] {
  const select = db.prepare('SELECT pubkey, deletedAt FROM "Key" WHERE keyName = ?');
  return names.map((name): Standing => {
    const row = select.get(name) as Row | undefined;
    if (row === undefined) return { name, pubkey: null, state: 'legacy' };
    const { pubkey } = row;
    if (readDateTime(row.deletedAt) !== null) return { name, pubkey, state: 'deleted' };
    const file = files.key(pubkey);
    return { name, pubkey, state: file.ok && file.sealed.name === name ? 'resealed' : 'legacy' };
  });
}

/**
 * Seals keys of nsecbunker.json into the keystore under `passphrase`, each file atomically; the old file stays as it
 * is. In a process of its own, with no daemon on the folder: it holds every key for a moment.
 *
 * @param old what encrypted ones are under; null when none is
 */
export function resealKeys(
  upgrade: Upgrade,
  keys: readonly Standing[],
  old: Secret | null,
  passphrase: Secret,
  logN: number,
): Resealed {
  const { files, random } = upgrade;
  const read = readKeys(upgrade.file, new Set(keys.map(({ name }) => name)));
  if (!read.ok) return read;
  const unsealingKey = old === null ? null : legacyUnsealingKey(old);
  let kek: Secret | undefined;
  try {
    const found = files.slots();
    if (!found.ok) return found;
    const slots = found.slots.map(({ id }) => id);
    const limits = { logN, maxLogN: MAX_LOG_N, slots, seen: slots.length, task: 1 };
    const result = { ok: true as const, upgraded: [] as string[], left: [] as Left[] };
    let target: ReturnType<typeof findSlot> | undefined;
    for (const { name, pubkey } of keys) {
      const opened = open(upgrade.curve, read.entries.get(name), unsealingKey, pubkey);
      if (!opened.ok) {
        result.left.push({ key: name, why: opened.why });
        continue;
      }
      const own = { name, pubkey: opened.pubkey, privateKey: opened.privateKey };
      try {
        // Not before a key has been opened: a mistyped old passphrase must not leave a slot behind.
        target ??= findSlot(files, passphrase, limits, new Lock(Lock.memory()), random);
        if (!target.ok) return target;
        kek = target.kek;
        const why = resealOne(upgrade, own, pubkey === null, target.slot, kek);
        if (why === null) result.upgraded.push(name);
        else result.left.push({ key: name, why });
      } finally {
        wipe(opened.privateKey);
      }
    }
    return result;
  } finally {
    wipe(unsealingKey, kek);
    wipeEntries(read.entries);
  }
}

type Opened = { ok: true; privateKey: Secret; pubkey: string } | { ok: false; why: string };

function open(curve: Curve, entry: Entry | undefined, unsealingKey: Secret | null, expected: string | null): Opened {
  const privateKey = privateKeyIn(entry, unsealingKey);
  if (typeof privateKey === 'string') return { ok: false, why: privateKey };
  const pubkey = pubkeyOf(curve, privateKey);
  if (pubkey !== null && (expected === null || pubkey === expected)) return { ok: true, privateKey, pubkey };
  wipe(privateKey);
  return { ok: false, why: 'its entry is damaged: it is not the key that the database knows by this name' };
}

function privateKeyIn(entry: Entry | undefined, unsealingKey: Secret | null): Secret | string {
  switch (entry?.form) {
    case undefined:
      return 'it is not in the file any more';
    case 'damaged':
      return 'its entry is damaged';
    case 'encrypted':
      return (unsealingKey === null ? null : openLegacy(entry, unsealingKey)) ?? 'wrong passphrase';
    case 'plain': {
      const imported = parseImport(entry.text);
      if (imported.ok && imported.form === 'plain') return imported.privateKey;
      wipeImport(imported);
      return 'its entry is damaged';
    }
    default:
      return entry satisfies never;
  }
}

/** Why this key was not sealed, or null. */
function resealOne(
  { files, db, random, now }: Upgrade,
  key: { name: string; pubkey: string; privateKey: Secret },
  isNew: boolean,
  slot: Parameters<typeof seal>[1],
  kek: Secret,
): string | null {
  const same = db.prepare('SELECT keyName FROM "Key" WHERE pubkey = ? AND keyName <> ?').pluck();
  const other = same.get(key.pubkey, key.name);
  if (other !== undefined) return `the same key is here as ${String(other)}`;
  const there = files.key(key.pubkey);
  if (there.ok && there.sealed.name !== key.name) return `the keystore has this key as ${there.sealed.name}`;
  const unsealingKey = deriveUnsealingKey(kek, key.pubkey);
  try {
    files.writeKey(seal(key, slot, unsealingKey, random(24)));
  } finally {
    wipe(unsealingKey);
  }
  // The file first: a row without one would be a key that nothing opens once the old file has lost it.
  if (isNew) {
    db.prepare(
      `INSERT INTO "Key" (keyName, createdAt, updatedAt, pubkey, lockedAt)
        VALUES (@name, @now, @now, @pubkey, (SELECT CAST(value AS INTEGER) FROM redoubt_meta WHERE name = 'lockedAt:' || @name))`,
    ).run({ name: key.name, now, pubkey: key.pubkey });
  }
  return null;
}
