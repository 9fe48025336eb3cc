import type Database from 'better-sqlite3';
import {
  type ByHand,
  deleteConditions,
  type Pace,
  pairings,
  planStrip,
} from '../../prisma-compat/strip-photocopies.ts';
import type { Outcome } from '../policy/protocol.ts';
import { copyDatabase } from '../store/copy.ts';
import { copyName } from './copy-name.ts';
import { databaseRefusal, openDatabase } from './open.ts';

export interface StripOptions {
  database: string;
  /** Every condition goes, those set by hand too. */
  all: boolean;
  dryRun: boolean;
  /** ms since the epoch */
  now: number;
  pace: Pace;
  /** Told what is there before anything is changed. */
  onFound(found: StripFound): void;
  onProgress(what: 'copy' | 'delete', done: number, of: number): void;
}

export interface StripFound {
  counts: { photocopy: number; connect: number; override: number; denial: number; loose: number };
  byHand: ByHand[];
  toDelete: number;
  pairings: number;
}

export interface Stripped extends StripFound {
  deleted: number;
  /** The copy that was made before; null when nothing was to be deleted. */
  backup: string | null;
  /** Of the pairings that there were before, those that are there still. */
  pairingsAfter: number;
}

/** Deletes what nsecbunkerd copied from policies; docs/STORAGE.md says which rows those are. */
export async function stripPhotocopies(options: StripOptions): Promise<Outcome<Stripped>> {
  const opened = openDatabase(options.database, options.dryRun ? 'read' : 'write');
  if (!opened.ok) return opened;
  try {
    return { ok: true, value: await strip(opened.value, options) };
  } catch (error) {
    const advice = 'what was deleted until then stays deleted; run it again';
    return { ok: false, refusal: `${databaseRefusal(options.database, error)}: ${advice}` };
  } finally {
    opened.value.close();
  }
}

async function strip(db: Database.Database, options: StripOptions): Promise<Stripped> {
  const { database, now, all, pace } = options;
  const plan = planStrip(db, now, all);
  const { counts, byHand, ids } = plan;
  const found = { counts, byHand, toDelete: ids.length, pairings: plan.pairings.length };
  options.onFound(found);
  const untouched = { ...found, deleted: 0, backup: null, pairingsAfter: found.pairings };
  if (options.dryRun || ids.length === 0) return untouched;

  const backup = copyName(database, 'pre-strip', now);
  await copyDatabase(db, backup, (done, of) => options.onProgress('copy', done, of));
  // With a write-ahead log, a commit that is not flushed holds the lock for less long. The checkpoint below, like any
  // commit of the daemon's, makes all of them durable; and whatever a power cut takes back can be deleted again.
  if (db.pragma('journal_mode', { simple: true }) === 'wal') db.pragma('synchronous = NORMAL');
  const deleted = await deleteConditions(db, plan, {
    now,
    everything: all,
    pace,
    onProgress: (done) => options.onProgress('delete', done, ids.length),
  });
  db.pragma('wal_checkpoint(PASSIVE)');
  const after = new Set(pairings(db));
  return { ...found, deleted, backup, pairingsAfter: plan.pairings.filter((id) => after.has(id)).length };
}
