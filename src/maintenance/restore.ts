import { existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import Database from 'better-sqlite3';
import type { Random } from '../curve/random.ts';
import { syncFolder } from '../keystore/durable.ts';
import type { Outcome } from '../policy/protocol.ts';
import { copyPath } from '../store/copy-aside.ts';
import { inspectDatabase } from '../store/inspect.ts';
import type { ChunkReader } from './archive/chunks.ts';
import { readEntry, readManifest } from './archive/contents.ts';
import { readKeystore } from './archive/keystore-copy.ts';
import { baseOf, DATABASE, type Manifest } from './archive/manifest.ts';
import { Unfit } from './archive/unfit.ts';
import type { CarriedOver } from './carry-over.ts';
import { changeDatabase } from './change-database.ts';
import { giveTo, type Kept, type Placing, putInPlace } from './put-in-place.ts';
import { makeWorkplace, removeLeftovers, type Workplace } from './workplace.ts';

/** Where an installation's parts are to be. */
export interface Target {
  configPath: string;
  data: string;
  database: string;
  keystore: string;
}

/** What the configuration of an archive says. */
export interface Located {
  target: Target;
  /** Keys that lie in that configuration itself. */
  legacyKeys: string[];
  warnings: string[];
  /** Runs the migrations of ours on a database file that lacks some. */
  bringForward(database: string): Promise<Outcome<null>>;
}

export interface RestoreOptions {
  reader: ChunkReader;
  data: string;
  /** Reads the configuration of the archive, which is staged at this path. */
  locate(configPath: string): Promise<Outcome<Located>>;
  force: boolean;
  dryRun: boolean;
  now: number;
  random: Random;
  onFound(manifest: Manifest): void;
  onProgress(done: number, of: number): void;
}

export interface Restored extends CarriedOver {
  manifest: Manifest;
  target: Target;
  replaced: Kept[];
  /** What a dry run would have replaced. */
  wouldReplace: string[];
  warnings: string[];
}

/**
 * Verifies an archive as a whole, then puts it in place of what is there. Nothing is written but beside the targets
 * until all of it was verified; the caller holds the lock of the data folder.
 */
export async function restore(options: RestoreOptions): Promise<Outcome<Restored>> {
  const { reader, data, dryRun } = options;
  const suffix = Buffer.from(options.random(8)).toString('hex');
  let workplace: Workplace | null = null;
  const staging: string[] = [];
  try {
    const manifest = readManifest(reader);
    options.onFound(manifest);
    const made = dryRun ? outside() : makeWorkplace(data, 'restore', suffix);
    if (!made.ok) return made;
    workplace = made.value;
    const work = workplace.path;
    const configuration = join(work, 'nsecbunker.json');
    readEntry(reader, manifest.entries[0]!, configuration);
    const located = await options.locate(configuration);
    if (!located.ok) return located;
    const { target } = located.value;
    const present = whatIsThere(target);
    const obstacle = linkAmong(target) ?? (options.force || dryRun ? null : inTheWay(present, target));
    if (obstacle !== null) return refuse(obstacle);
    if (!dryRun) removeLeftovers([data, dirname(target.database), dirname(target.keystore)]);

    const beside = (path: string) => (dryRun ? work : dirname(path));
    const database = join(beside(target.database), `.${basename(target.database)}.restore-${suffix}`);
    const keystore = join(beside(target.keystore), `.${basename(target.keystore)}.restore-${suffix}`);
    const copy = copyPath(database);
    staging.push(keystore, ...['', '-wal', '-shm', '-journal'].map((end) => database + end), copy, `${copy}.part`);
    mkdirSync(dirname(database), { recursive: true, mode: 0o700 });
    mkdirSync(keystore, { recursive: true, mode: 0o700 });
    const placings: Placing[] = [
      { staged: database, target: target.database },
      { staged: keystore, target: target.keystore },
    ];
    for (const entry of manifest.entries.slice(1)) {
      const base = baseOf(entry.path);
      const isKeystore = entry.path.startsWith('keystore/');
      const to = isKeystore ? join(keystore, base) : entry.path === DATABASE ? database : join(work, base);
      readEntry(reader, entry, to);
      if (!isKeystore && entry.path !== DATABASE) placings.push({ staged: to, target: join(data, base) });
      options.onProgress(reader.position, reader.size);
      await new Promise((resolve) => setImmediate(resolve));
    }
    reader.expectEnd();
    placings.push({ staged: configuration, target: target.configPath });

    const warnings = [...located.value.warnings, ...keystoreWarnings(keystore)];
    const times = { createdAt: manifest.createdAt, now: options.now };
    const changed = await changeDatabase(database, located.value, times, warnings);
    if (!changed.ok) return changed;
    const result = { manifest, target, ...changed.value, replaced: [], wouldReplace: present, warnings };
    if (dryRun) return { ok: true, value: result };

    syncFolder(keystore);
    giveTo(
      data,
      placings.map(({ staged }) => staged),
    );
    const closed = closePresent(target.database);
    if (!closed.ok) return closed;
    const besides = [`${target.database}-wal`, `${target.database}-shm`, `${target.database}-journal`];
    const replaced = putInPlace(placings, [...besides, join(data, 'audit-heads.jsonl')], options.now);
    return { ok: true, value: { ...result, replaced, wouldReplace: [] } };
  } catch (error) {
    if (error instanceof Unfit) return refuse(`the archive ${error.message}`);
    const { code, path } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    return refuse(`the restore failed (${code}${path === undefined ? '' : `, ${path}`}): nothing was replaced`);
  } finally {
    for (const path of staging) rmSync(path, { recursive: true, force: true });
    // Last: by it the others are known as left over.
    workplace?.remove();
  }
}

/** A dry run leaves nothing in the installation, not even for a moment. */
function outside(): Outcome<Workplace> {
  const path = mkdtempSync(join(tmpdir(), 'redoubt-restore-'));
  return { ok: true, value: { path, remove: () => rmSync(path, { recursive: true, force: true }) } };
}

/** Files and folders that a restore would replace. */
function whatIsThere({ configPath, database, keystore }: Target): string[] {
  const there = [configPath, database].filter((path) => existsSync(path));
  if (existsSync(keystore) && readdirSync(keystore).length > 0) there.push(keystore);
  return there;
}

function inTheWay(present: readonly string[], { data }: Target): string | null {
  if (present.length === 0) return null;
  return `${data} is in use (${present.join(', ')}): --force replaces it, and keeps what was there under another name`;
}

/** A link would lead what is written, or what is moved away, somewhere else. */
function linkAmong(target: Target): string | null {
  for (const path of [target.configPath, target.database, target.keystore]) {
    if (lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() !== true) continue;
    return `${path} is a link: name the place that it leads to (--data, DATABASE_URL, REDOUBT_KEYSTORE_DIR)`;
  }
  return null;
}

function keystoreWarnings(folder: string): string[] {
  const { faults } = readKeystore(folder);
  return faults.map(({ name, is }) => `${name} of the keystore ${is}, in the archive: what it opens stays locked`);
}

/**
 * Writes what the present database has in its write-ahead log into the file itself, which is going to be kept; that
 * works only while no other program has it open. A file that cannot be read is kept as it is.
 */
function closePresent(path: string): Outcome<null> {
  if (!existsSync(path) || !inspectDatabase(path).ok) return { ok: true, value: null };
  const db = new Database(path, { timeout: 500 });
  try {
    db.pragma('journal_mode = DELETE');
    return { ok: true, value: null };
  } catch (error) {
    if (!String((error as { code?: unknown }).code).startsWith('SQLITE_BUSY')) return { ok: true, value: null };
    return refuse(`another program has the database ${path} open: stop it first`);
  } finally {
    db.close();
  }
}

function refuse(refusal: string): { ok: false; refusal: string } {
  return { ok: false, refusal };
}
