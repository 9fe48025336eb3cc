import { createHash } from 'node:crypto';
import { closeSync, existsSync, fsyncSync, openSync, readSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import Database from 'better-sqlite3';
import { pairings } from '../../prisma-compat/strip-photocopies.ts';
import { wipe } from '../actor/protocol.ts';
import type { Random } from '../curve/random.ts';
import { syncFolder } from '../keystore/durable.ts';
import type { Outcome } from '../policy/protocol.ts';
import { copyDatabase } from '../store/copy.ts';
import { version } from '../version.ts';
import { ChunkReader, ChunkWriter } from './archive/chunks.ts';
import { readEntry, readManifest, writeManifest } from './archive/contents.ts';
import { plainHeader, type Sealing } from './archive/header.ts';
import { copyKeystore, type KeystoreCopy, readNeeded } from './archive/keystore-copy.ts';
import { CONFIG, DATABASE, digest, type Entry, type Manifest } from './archive/manifest.ts';
import { selectFrom, tablesOf } from './columns.ts';
import { databaseRefusal, openDatabase } from './open.ts';
import { makeWorkplace, removeLeftovers, type Workplace } from './workplace.ts';

/** What a backup is made of. */
export interface Source {
  configPath: string;
  data: string;
  database: string;
  keystore: string;
  /** Keys that lie in nsecbunker.json itself. */
  legacyKeys: string[];
  isQuickstart: boolean;
}

export interface BackupOptions {
  source: Source;
  file: string;
  /** Null for an archive that is not encrypted. Wiped when it returns. */
  sealing: Sealing | null;
  dryRun: boolean;
  /** ms since the epoch */
  now(): number;
  random: Random;
  sleep(ms: number): Promise<void>;
  onFound(manifest: Manifest): void;
  onProgress(what: 'copy' | 'write' | 'check', done: number, of: number): void;
}

export interface BackedUp {
  manifest: Manifest;
  /** What a restored installation would lack just as this one does. */
  warnings: string[];
}

const MAX_CONFIG = 64 * 1024 * 1024;
const PART = 1024 * 1024;

/**
 * Writes database, keystore and configuration into one archive, while the daemon runs. The database is copied first: a
 * key's file is written before its row, so that every row in the copy finds its file in the keystore read after it.
 */
export async function backUp(options: BackupOptions): Promise<Outcome<BackedUp>> {
  const { source, file } = options;
  const suffix = Buffer.from(options.random(8)).toString('hex');
  const part = `${file}.${suffix}.tmp`;
  const small = new Map<string, Uint8Array>();
  let workplace: Workplace | null = null;
  try {
    if (existsSync(file)) return refuse(`${file} is there already: give another name`);
    if (!existsSync(dirname(file))) return refuse(`the folder ${dirname(file)} does not exist`);
    if (!existsSync(source.database)) return refuse(`there is no database at ${source.database}`);
    if (!options.dryRun) removeLeftovers([source.data, dirname(source.database), dirname(source.keystore)]);
    const made = makeWorkplace(dirname(source.database), 'backup', suffix);
    if (!made.ok) return made;
    workplace = made.value;
    const staged = join(workplace.path, 'nsecbunker.db');
    const createdAt = options.now();
    const copied = await stage(source.database, staged, options);
    if (!copied.ok) return copied;
    readConfiguration(source, small);
    const keystore = await copyKeystore(source.keystore, options.sleep);
    for (const [name, bytes] of keystore.files) small.set(`keystore/${name}`, bytes);
    const entries: Entry[] = [...small].map(([path, bytes]) => ({ path, size: bytes.length, sha256: digest(bytes) }));
    entries.push({ path: DATABASE, size: statSync(staged).size, sha256: await hashFile(staged) });
    const manifest = { createdAt, redoubt: version, counts: copied.value.counts, entries };
    options.onFound(manifest);
    const warnings = missing(source, copied.value.keys, keystore);
    if (!options.dryRun) {
      await writeArchive(part, staged, manifest, small, options);
      await check(part, options);
      renameSync(part, file);
      syncFolder(dirname(file));
    }
    return { ok: true, value: { manifest, warnings } };
  } catch (error) {
    const { code, path } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    return refuse(`the backup was not made (${code}${path === undefined ? '' : `, ${path}`}): nothing is left of it`);
  } finally {
    rmSync(part, { force: true });
    workplace?.remove();
    wipe(options.sealing?.key, ...small.values());
  }
}

interface Staged {
  counts: Manifest['counts'];
  /** Keys that are not deleted. */
  keys: { keyName: string; pubkey: string }[];
}

/** A copy of the database as of one moment, checked. It lies on the disk of the original, where its secrets lie anyway. */
async function stage(database: string, staged: string, options: BackupOptions): Promise<Outcome<Staged>> {
  const opened = openDatabase(database, 'read');
  if (!opened.ok) return opened;
  try {
    await copyDatabase(opened.value, staged, (done, of) => options.onProgress('copy', done, of));
  } catch (error) {
    return refuse(databaseRefusal(database, error));
  } finally {
    opened.value.close();
  }
  const copy = new Database(staged);
  try {
    // The copy is a file by itself.
    copy.pragma('journal_mode = DELETE');
    if (copy.pragma('quick_check(1)', { simple: true }) !== 'ok') return damaged(database);
    const count = (table: string) => copy.prepare(`SELECT count(*) FROM "${table}"`).pluck().get() as number;
    const keys = copy.prepare(selectFrom(copy, 'Key', ['keyName', 'pubkey'], 'WHERE deletedAt IS NULL')).all();
    const auditRows = tablesOf(copy).includes('Log') ? count('Log') : 0;
    const counts = { keys: keys.length, pairings: pairings(copy).length, auditRows };
    return { ok: true, value: { counts, keys: keys as Staged['keys'] } };
  } catch (error) {
    databaseRefusal(database, error);
    return damaged(database);
  } finally {
    copy.close();
  }
}

function damaged(database: string): Outcome<never> {
  return refuse(`the database ${database} is damaged: keep its files as they are, and see "redoubt doctor"`);
}

/** @throws the system's error */
function readConfiguration({ configPath, data, isQuickstart }: Source, into: Map<string, Uint8Array>): void {
  const files: [path: string, from: string, most: number][] = [
    [CONFIG, configPath, MAX_CONFIG],
    ['config/admin.nsec', join(data, 'admin.nsec'), 4096],
  ];
  // Elsewhere the passphrase is kept apart from what it opens; a quickstart's folder is of no use without it.
  if (isQuickstart) files.push(['config/passphrase', join(data, 'passphrase'), 4096]);
  for (const [path, from, most] of files) {
    const bytes = readNeeded(from, most);
    if (bytes !== null) into.set(path, bytes);
    else if (path === CONFIG) throw Object.assign(new Error('missing'), { code: 'ENOENT', path: from });
  }
}

function missing(source: Source, keys: Staged['keys'], keystore: KeystoreCopy): string[] {
  const lost = keys.filter(
    ({ keyName, pubkey }) => !keystore.pubkeys.has(pubkey) && !source.legacyKeys.includes(keyName),
  );
  const warnings = keystore.faults.map(
    ({ name, is }) => `${join(source.keystore, name)} ${is}, here and in the archive`,
  );
  if (lost.length > 0) {
    const names = lost.slice(0, 5).map(({ keyName }) => keyName);
    const more = lost.length > names.length ? ` and ${lost.length - names.length} more` : '';
    warnings.push(`keys without a file, here and in the archive: ${names.join(', ')}${more}`);
  }
  return warnings;
}

async function writeArchive(
  part: string,
  staged: string,
  manifest: Manifest,
  small: ReadonlyMap<string, Uint8Array>,
  { sealing, onProgress }: BackupOptions,
): Promise<void> {
  const fd = openSync(part, 'wx', 0o600);
  try {
    const writer = new ChunkWriter(fd, sealing?.header ?? plainHeader(), sealing);
    writeManifest(writer, manifest);
    for (const bytes of small.values()) writer.write(bytes);
    const { size } = manifest.entries.at(-1)!;
    let done = 0;
    for await (const bytes of parts(staged)) {
      writer.write(bytes);
      done += bytes.length;
      onProgress('write', done, size);
    }
    writer.end();
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Reads what was written, as a restore would. @throws Unfit, which would be a fault of ours or of the disk */
async function check(part: string, { sealing, onProgress }: BackupOptions): Promise<void> {
  const reader = new ChunkReader(part);
  try {
    if (sealing !== null) reader.useSealing(sealing);
    for (const entry of readManifest(reader).entries) {
      readEntry(reader, entry, null);
      onProgress('check', reader.position, reader.size);
    }
    reader.expectEnd();
  } finally {
    reader.close();
  }
}

async function hashFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const bytes of parts(path)) hash.update(bytes);
  return hash.digest('hex');
}

/** A file piece by piece, each to be used before the next; timers and signals have their turn in between. */
async function* parts(path: string): AsyncGenerator<Uint8Array> {
  const fd = openSync(path, 'r');
  const room = new Uint8Array(PART);
  try {
    for (;;) {
      const length = readSync(fd, room, 0, PART, null);
      if (length === 0) return;
      yield room.subarray(0, length);
      await new Promise((resolve) => setImmediate(resolve));
    }
  } finally {
    closeSync(fd);
  }
}

function refuse(refusal: string): { ok: false; refusal: string } {
  return { ok: false, refusal };
}
