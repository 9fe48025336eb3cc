import { createHash } from 'node:crypto';
import { existsSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import Database from 'better-sqlite3';
import { syncFolder } from '../keystore/durable.ts';
import { copyDatabase } from './copy.ts';
import { databaseFault } from './fault.ts';
import { MIGRATION_NAMES, MIGRATIONS_TABLE } from './migration-names.ts';

export type Copied = { ok: true; path: string } | { ok: false; refusal: string };

/** Where the copy of a database lies that is made before Redoubt first migrates it. */
export function copyPath(database: string, number = 1): string {
  return `${database}.pre-redoubt-${MIGRATION_NAMES.length}${number === 1 ? '' : `.${number}`}`;
}

/**
 * The way back to nsecbunkerd: the file as it was before the first migration, durable, made with SQLite's own backup,
 * and whole. A copy of the very same rows that an earlier start made is kept; one of another content is never replaced.
 */
export async function copyAside(database: string): Promise<Copied> {
  const draft = `${copyPath(database)}.part`;
  try {
    rmSync(draft, { force: true });
    const db = new Database(database, { readonly: true, timeout: 2000 });
    try {
      await copyDatabase(db, draft);
    } finally {
      db.close();
    }
    if (isDamaged(draft)) {
      rmSync(draft);
      return { ok: false, refusal: `the database ${database} is damaged: restore a backup. Nothing was changed` };
    }
    let number = 1;
    while (existsSync(copyPath(database, number)) && !sameContent(draft, copyPath(database, number))) number++;
    const path = copyPath(database, number);
    if (existsSync(path)) rmSync(draft);
    else {
      renameSync(draft, path);
      syncFolder(dirname(path));
    }
    return { ok: true, path };
  } catch (error) {
    const code = (error as { code?: unknown }).code;
    if (typeof code !== 'string') throw error;
    if (statSync(draft, { throwIfNoEntry: false })?.isFile()) rmSync(draft);
    const why = databaseFault(error)?.reason ?? code;
    const line = `the copy of the database that is kept before it is first migrated cannot be made (${why})`;
    return {
      ok: false,
      refusal: `${line}: see to the space and the mode of ${dirname(database)}. Nothing was changed`,
    };
  }
}

/** Pages are copied as they are, good or bad. A migration that met a bad one would stop half way. */
function isDamaged(path: string): boolean {
  const db = new Database(path);
  try {
    return db.pragma('quick_check(1)', { simple: true }) !== 'ok';
  } finally {
    db.close();
  }
}

/** Whether two files hold the same rows. What cannot be read is not the same. */
function sameContent(a: string, b: string): boolean {
  try {
    return digestOf(a) === digestOf(b);
  } catch (error) {
    if (error instanceof Database.SqliteError) return false;
    throw error;
  }
}

/**
 * Of the tables and their rows. An adoption that was cut short before its first migration has left the list of our
 * migrations, empty: that does not count.
 */
function digestOf(path: string): string {
  const hash = createHash('sha256');
  const db = new Database(path, { fileMustExist: true });
  try {
    const schema = db
      .prepare('SELECT name, type, sql FROM sqlite_master WHERE tbl_name <> ? ORDER BY name')
      .all(MIGRATIONS_TABLE) as { name: string; type: string }[];
    for (const one of schema) {
      hash.update(JSON.stringify(one));
      if (one.type !== 'table') continue;
      const rows = db.prepare(`SELECT * FROM "${one.name}" ORDER BY rowid`).raw().iterate();
      for (const row of rows) hash.update(JSON.stringify(row));
    }
  } finally {
    db.close();
  }
  return hash.digest('hex');
}
