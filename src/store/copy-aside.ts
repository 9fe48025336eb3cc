import { closeSync, existsSync, openSync, readSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import Database from 'better-sqlite3';
import { syncFolder } from '../keystore/durable.ts';
import { copyDatabase } from './copy.ts';
import { databaseFault } from './fault.ts';
import { MIGRATION_NAMES } from './migration-names.ts';

export type Copied = { ok: true; path: string } | { ok: false; refusal: string };

/** Compared in pieces of this size. */
const PIECE = 1024 * 1024;
/** Bytes of the header that opening a file changes: journal mode, change counter and who wrote it. */
const VOLATILE = [
  [18, 20],
  [24, 28],
  [92, 100],
] as const;

/** Where the copy of a database lies that is made before Redoubt first migrates it. */
export function copyPath(database: string, number = 1): string {
  return `${database}.pre-redoubt-${MIGRATION_NAMES.length}${number === 1 ? '' : `.${number}`}`;
}

/**
 * The way back to nsecbunkerd: the file as it was before the first migration, durable, made with SQLite's own backup,
 * and whole. A copy of the very same content that an earlier start made is kept; one of another content is never replaced.
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

function sameContent(a: string, b: string): boolean {
  if (statSync(a).size !== statSync(b).size) return false;
  const files = [openSync(a, 'r'), openSync(b, 'r')] as const;
  const pieces = [Buffer.alloc(PIECE), Buffer.alloc(PIECE)] as const;
  try {
    for (let at = 0; ; ) {
      const [read, other] = files.map((file, i) => readSync(file, pieces[i]!, 0, PIECE, at)) as [number, number];
      if (at === 0) for (const piece of pieces) for (const [start, end] of VOLATILE) piece.fill(0, start, end);
      if (read !== other || !pieces[0].subarray(0, read).equals(pieces[1].subarray(0, read))) return false;
      if (read === 0) return true;
      at += read;
    }
  } finally {
    for (const file of files) closeSync(file);
  }
}
