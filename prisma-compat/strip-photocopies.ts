import type Database from 'better-sqlite3';
import { conditionById, eachCondition } from './conditions.ts';
import { type ConditionRow, type ConditionSort, Redeemed } from './photocopies.ts';

/** A row of SigningCondition that goes with the photocopies only when everything goes. */
export interface ByHand {
  id: number;
  sort: 'override' | 'denial';
  keyName: string | null;
  client: string | null;
  description: string | null;
  method: string | null;
  kind: string | null;
}

/** What is in the file. `ids`: the rows to be deleted. */
export interface StripPlan {
  counts: { [S in ConditionSort]: number };
  byHand: ByHand[];
  ids: number[];
  /** Tokens that were redeemed by a client, by id. */
  pairings: number[];
}

export interface Pace {
  sleep(ms: number): Promise<void>;
  /** ms, monotonic */
  mono(): number;
}

/** Rows deleted in one transaction, which takes a millisecond or two. */
const STEP = 200;
/** The daemon has the file for itself so long after each, and at least eight times as long as the transaction took. */
const PAUSE_MS = 40;
const PAUSES_FOR_WORK = 8;

/** Looks at every condition, and changes nothing. @param now ms since the epoch */
export function planStrip(db: Database.Database, now: number, everything: boolean): StripPlan {
  const redeemed = new Redeemed(db);
  const plan: StripPlan = {
    counts: { photocopy: 0, connect: 0, override: 0, denial: 0, loose: 0 },
    byHand: [],
    ids: [],
    pairings: pairings(db),
  };
  const user = db.prepare('SELECT keyName, userPubkey AS client, description FROM "KeyUser" WHERE id = ?');
  for (const row of eachCondition(db)) {
    const sort = redeemed.sortOf(row, now);
    plan.counts[sort]++;
    if (everything || isCopy(sort)) plan.ids.push(row.id);
    if (sort !== 'override' && sort !== 'denial') continue;
    const nobody = { keyName: null, client: null, description: null };
    const whose = (user.get(row.keyUserId) as typeof nobody | undefined) ?? nobody;
    plan.byHand.push({ id: row.id, sort, ...whose, method: row.method, kind: row.kind });
  }
  return plan;
}

/**
 * Deletes what was planned, in small transactions with pauses, so that a daemon on the same file goes on serving. A row
 * that was changed since it was planned is looked at again, and stays unless it still is a photocopy.
 *
 * @returns how many rows were deleted. @throws SqliteError; what was deleted until then stays deleted
 */
export async function deleteConditions(
  db: Database.Database,
  { ids }: Pick<StripPlan, 'ids'>,
  options: { now: number; everything: boolean; pace: Pace; onProgress(done: number): void },
): Promise<number> {
  const redeemed = new Redeemed(db);
  const read = conditionById(db);
  const remove = db.prepare(
    `DELETE FROM "SigningCondition"
      WHERE id = @id AND keyUserId IS @keyUserId AND method IS @method AND kind IS @kind AND allowed IS @allowed`,
  );
  const removeAll = db.transaction((rows: ConditionRow[]) => {
    let changes = 0;
    for (const { id, keyUserId, method, kind, allowed } of rows) {
      changes += remove.run({ id, keyUserId, method, kind, allowed }).changes;
    }
    return changes;
  });
  let deleted = 0;
  for (let at = 0; at < ids.length; at += STEP) {
    const began = options.pace.mono();
    // Read before the write lock is taken: it is held for the deletions alone.
    const rows = ids.slice(at, at + STEP).map(read);
    const still = rows.filter(
      (row): row is ConditionRow =>
        row !== undefined && (options.everything || isCopy(redeemed.sortOf(row, options.now))),
    );
    deleted += removeAll.immediate(still);
    options.onProgress(Math.min(at + STEP, ids.length));
    await options.pace.sleep(Math.max(PAUSE_MS, (options.pace.mono() - began) * PAUSES_FOR_WORK));
  }
  return deleted;
}

/** Tokens that a client redeemed, by id: the pairings. */
export function pairings(db: Database.Database): number[] {
  return db
    .prepare(
      `SELECT t.id FROM "Token" t JOIN "KeyUser" u ON u.id = t.keyUserId WHERE t.redeemedAt IS NOT NULL ORDER BY t.id`,
    )
    .pluck()
    .all() as number[];
}

function isCopy(sort: ConditionSort): boolean {
  return sort === 'photocopy' || sort === 'connect';
}
