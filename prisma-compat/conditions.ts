import type Database from 'better-sqlite3';
import { selectFrom } from '../src/maintenance/columns.ts';
import type { ConditionRow } from './photocopies.ts';

const COLUMNS = ['id', 'keyUserId', 'method', 'kind', 'content', 'allowed', 'expiresAt'];
/** Rows read at once: in a file without a write-ahead log nobody writes while somebody reads. */
const PAGE = 2_000;

/** Every row of SigningCondition in the order of ids, in short reads. */
export function* eachCondition(db: Database.Database): Generator<ConditionRow> {
  const page = db.prepare(selectFrom(db, 'SigningCondition', COLUMNS, 'WHERE id > ? ORDER BY id LIMIT ?'));
  if (page.columns().length === 0) return;
  for (let after = -1; ; ) {
    const rows = page.all(after, PAGE) as ConditionRow[];
    yield* rows;
    if (rows.length < PAGE) return;
    after = rows.at(-1)!.id;
  }
}

/** One row as it is now; undefined when it is gone. */
export function conditionById(db: Database.Database): (id: number) => ConditionRow | undefined {
  const statement = db.prepare(selectFrom(db, 'SigningCondition', COLUMNS, 'WHERE id = ?'));
  return (id) => statement.get(id) as ConditionRow | undefined;
}
