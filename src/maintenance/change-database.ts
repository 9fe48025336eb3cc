import { existsSync } from 'node:fs';
import Database from 'better-sqlite3';
import type { Outcome } from '../policy/protocol.ts';
import { verifyChain } from '../policy/verify.ts';
import { inspectDatabase } from '../store/inspect.ts';
import { type CarriedOver, carryOver, type Since, voidTokens } from './carry-over.ts';
import { columnsOf } from './columns.ts';
import { databaseRefusal, openDatabase } from './open.ts';
import type { Located } from './restore.ts';

/** What the present file may say and an older one has no place for. */
const NEEDED = [
  ['Key', 'lockedAt'],
  ['KeyUser', 'revokedAt'],
  ['redoubt_meta', 'value'],
] as const;

const NOTHING_SINCE: Since = {
  clients: 0,
  tokens: 0,
  policies: 0,
  rules: 0,
  conditions: 0,
  deniedClients: 0,
  keys: 0,
  locks: 0,
  purged: [],
  lostPairings: [],
};

/** ms since the epoch */
interface Times {
  createdAt: number;
  now: number;
}

/**
 * Verifies the database of an archive, voids its unredeemed tokens, and repeats in it what was revoked since: what
 * the database in its place says. An archive that is older than the present form is brought to it first: where
 * nothing can be written down as revoked, it would live again.
 */
export async function changeDatabase(
  staged: string,
  located: Located,
  times: Times,
  warnings: string[],
): Promise<Outcome<CarriedOver>> {
  const sound = verify(staged, warnings);
  if (!sound.ok) return sound;
  const present = openPresent(located.target.database, warnings);
  try {
    if (present !== null && lacksSome(staged, present)) {
      const brought = await located.bringForward(staged);
      if (!brought.ok) return refuse(brought.refusal.replaceAll(staged, 'in the archive'));
    }
    return { ok: true, value: change(staged, present, located, times, warnings) };
  } catch (error) {
    return refuse(databaseRefusal('in the archive', error));
  } finally {
    present?.close();
  }
}

function verify(staged: string, warnings: string[]): Outcome<null> {
  const found = inspectDatabase(staged);
  if (!found.ok) return refuse(found.refusal.replaceAll(staged, 'in the archive'));
  if (found.state !== 'ours' && found.state !== 'adoptable') return refuse('the database in the archive has no tables');
  const db = new Database(staged, { fileMustExist: true });
  try {
    if (db.pragma('quick_check(1)', { simple: true }) !== 'ok') return refuse('the database in the archive is damaged');
    const chain = verifyChain(db);
    if (!chain.ok) warnings.push(`the audit log in the archive is broken: ${chain.wrong?.line ?? 'unknown how'}`);
    return { ok: true, value: null };
  } catch (error) {
    return refuse(databaseRefusal('in the archive', error));
  } finally {
    db.close();
  }
}

function change(
  staged: string,
  present: Database.Database | null,
  { target, legacyKeys }: Located,
  { createdAt, now }: Times,
  warnings: string[],
): CarriedOver {
  const db = new Database(staged, { fileMustExist: true });
  try {
    const voidedTokens = voidTokens(db, now);
    if (present === null) return { voidedTokens, ...NOTHING_SINCE };
    try {
      return { voidedTokens, ...carryOver(db, present, { createdAt, now, legacyKeys }) };
    } catch (error) {
      warnings.push(unknown(databaseRefusal(target.database, error)));
      return { voidedTokens, ...NOTHING_SINCE };
    }
  } finally {
    db.pragma('journal_mode = DELETE');
    db.close();
  }
}

/** Null where there is none, and where it cannot be read. */
function openPresent(path: string, warnings: string[]): Database.Database | null {
  if (!existsSync(path)) return null;
  const opened = openDatabase(path, 'read');
  if (opened.ok) return opened.value;
  warnings.push(unknown(opened.refusal));
  return null;
}

function unknown(why: string): string {
  return `${why}; what was revoked after the archive was made is not known: revoke it again`;
}

function lacksSome(staged: string, present: Database.Database): boolean {
  const db = new Database(staged, { readonly: true });
  try {
    return NEEDED.some(([table, column]) => columnsOf(present, table).has(column) && !columnsOf(db, table).has(column));
  } finally {
    db.close();
  }
}

function refuse(refusal: string): { ok: false; refusal: string } {
  return { ok: false, refusal };
}
