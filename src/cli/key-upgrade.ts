import { chownSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { removeLegacy, unproven } from '../../prisma-compat/remove-legacy.ts';
import { type Left, resealKeys, type Standing, standingOf, type Upgrade } from '../../prisma-compat/upgrade-keys.ts';
import { type Secret, wipe } from '../actor/protocol.ts';
import type { Installation } from '../config/installation.ts';
import { forcedCurve } from '../curve/forced.ts';
import { loadCurve } from '../curve/load.ts';
import { pooledRandom } from '../curve/random.ts';
import { KeystoreFiles } from '../keystore/files.ts';
import { lockInstallation } from '../shared-locks.ts';
import { inspectDatabase } from '../store/inspect.ts';
import { MIGRATION_NAMES } from '../store/migration-names.ts';
import { cell, show } from './output.ts';
import { readInstallation } from './read-installation.ts';
import { EXIT, Refusal } from './refusal.ts';
import { readSecretText } from './secret-text.ts';

export interface UpgradeOptions {
  oldPassphraseFile?: string;
  passphraseFile?: string;
  samePassphrase?: boolean;
  removeLegacy?: boolean;
  removeDeleted?: boolean;
  json?: boolean;
}

/** `redoubt key upgrade`: for the time it takes no daemon may run on the installation. @throws Refusal */
export async function upgradeKeys(installation: Installation, options: UpgradeOptions): Promise<void> {
  const { config, file, adminKey } = readInstallation(installation);
  wipe(adminKey);
  const { database, keystore } = config;
  const lock = lockInstallation({ data: installation.data, database, keystore: keystore.dir });
  if (!lock.ok) throw new Refusal(lock.refusal);
  const db = openDatabase(database);
  try {
    const upgrade: Upgrade = {
      file: installation.configPath,
      names: file.keyNames,
      files: new KeystoreFiles(keystore.dir),
      db,
      curve: await loadCurve(forcedCurve(process.env)),
      random: pooledRandom(),
      now: Date.now(),
    };
    const needsOld = (key: Standing) => key.state === 'legacy' && !file.plainKeyNames.includes(key.name);
    const result = await work(upgrade, options, keystore.logN, standingOf(upgrade).some(needsOld));
    if (options.removeDeleted === true) removeDeleted(upgrade, result);
    show({ data: result, text: text(result) }, options.json);
    if (result.left.length > 0) process.exitCode = EXIT.failed;
  } finally {
    db.close();
    // Whoever runs this as root made files that the daemon's own user must read.
    giveToOwnerOf(installation.configPath, keystore.dir);
    lock.release();
  }
}

interface Result {
  upgraded: string[];
  /** Upgraded by an earlier run. */
  before: string[];
  /** Taken out of nsecbunker.json. */
  removed: string[];
  /** Deleted, and in it still. */
  deleted: string[];
  /** Deleted, and taken out of it for good. */
  gone: string[];
  left: Left[];
}

async function work(upgrade: Upgrade, options: UpgradeOptions, logN: number, needsOld: boolean): Promise<Result> {
  const standing = standingOf(upgrade);
  const namesOf = (state: Standing['state']) => standing.filter((key) => key.state === state).map(({ name }) => name);
  const todo = standing.filter(({ state }) => state === 'legacy');
  const result: Result = {
    upgraded: [],
    before: namesOf('resealed'),
    removed: [],
    deleted: namesOf('deleted'),
    gone: [],
    left: [],
  };
  if (todo.length === 0 && (options.removeLegacy !== true || result.before.length === 0)) return result;

  const { old, passphrase } = await readPassphrases(options, todo.length > 0, needsOld);
  try {
    if (todo.length > 0) {
      const resealed = resealKeys(upgrade, todo, old, passphrase, logN);
      if (!resealed.ok) throw new Refusal(resealed.refusal);
      result.upgraded = resealed.upgraded;
      result.left = resealed.left;
    }
    if (options.removeLegacy === true) remove(upgrade, passphrase, result);
    return result;
  } finally {
    wipe(old, passphrase);
  }
}

/** All or nothing: the old form of a key goes when the new one was seen to open. */
function remove(upgrade: Upgrade, passphrase: Secret, result: Result): void {
  const resealed = standingOf(upgrade).filter(({ state }) => state === 'resealed');
  const closed = unproven(upgrade.files, upgrade.curve, resealed, passphrase);
  result.left.push(...closed);
  if (closed.length > 0 || resealed.length === 0) return;
  result.removed = takeOut(upgrade, resealed);
}

/** Nothing proves that they are anywhere else: that is why it has to be asked for. */
function removeDeleted(upgrade: Upgrade, result: Result): void {
  const deleted = standingOf(upgrade).filter(({ state }) => state === 'deleted');
  if (deleted.length === 0) return;
  result.gone = takeOut(upgrade, deleted);
  result.deleted = [];
}

/** @returns their names. @throws Refusal */
function takeOut(upgrade: Upgrade, keys: readonly Standing[]): string[] {
  const names = keys.map(({ name }) => name);
  const refusal = removeLegacy(upgrade.file, names);
  if (refusal !== null) throw new Refusal(refusal);
  return names;
}

/** The passphrase to be is asked for twice when keys are sealed under it, and once when it only has to open them. */
async function readPassphrases(
  options: UpgradeOptions,
  seals: boolean,
  needsOld: boolean,
): Promise<{ old: Secret | null; passphrase: Secret }> {
  const own = { option: '--passphrase-file' };
  if (options.samePassphrase === true) {
    const passphrase = await readSecretText('passphrase of the keys', options.passphraseFile, own);
    return { old: seals && needsOld ? (new Uint8Array(passphrase) as Secret) : null, passphrase };
  }
  const ofOld = { option: '--old-passphrase-file' };
  const old =
    seals && needsOld
      ? await readSecretText('passphrase that the keys have now', options.oldPassphraseFile, ofOld)
      : null;
  try {
    const what = seals ? 'new passphrase' : 'passphrase that the keys were sealed under';
    return { old, passphrase: await readSecretText(what, options.passphraseFile, { ...own, twice: seals }) };
  } catch (error) {
    wipe(old);
    throw error;
  }
}

/** @throws Refusal */
function openDatabase(path: string): Database.Database {
  const found = inspectDatabase(path);
  if (!found.ok) throw new Refusal(found.refusal);
  if (found.state !== 'ours' || found.applied.length < MIGRATION_NAMES.length) {
    throw new Refusal(`the database ${path} is not up to date: run "redoubt migrate" first`);
  }
  const db = new Database(path, { fileMustExist: true, timeout: 2_000 });
  db.pragma('synchronous = FULL');
  return db;
}

function giveToOwnerOf(file: string, keystore: string): void {
  if (process.getuid?.() !== 0) return;
  const { uid, gid } = statSync(file);
  const stat = statSync(keystore, { throwIfNoEntry: false });
  if (stat === undefined || uid === 0) return;
  for (const path of [keystore, ...readdirSync(keystore).map((name) => join(keystore, name))])
    chownSync(path, uid, gid);
}

function text({ upgraded, before, removed, deleted, gone, left }: Result): string {
  const lines = [`${upgraded.length} sealed into the keystore, ${before.length} were before`];
  if (removed.length > 0) lines.push(`taken out of nsecbunker.json: ${removed.map(cell).join(', ')}`);
  if (deleted.length > 0) lines.push(`deleted, and left as they are: ${deleted.map(cell).join(', ')}`);
  if (gone.length > 0) lines.push(`deleted, and gone from nsecbunker.json for good: ${gone.map(cell).join(', ')}`);
  for (const { key, why } of left) lines.push(`${cell(key)}: ${why}`);
  return lines.join('\n');
}
