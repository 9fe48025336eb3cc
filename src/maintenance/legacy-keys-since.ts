import type Database from 'better-sqlite3';
import type { IsNewer } from './carry-over.ts';
import { columnsOf } from './columns.ts';
import { rowsOf } from './rows.ts';

/** Before the name of a key in redoubt_meta: since when a key without a row is locked (docs/STORAGE.md). */
const LOCKED = 'lockedAt:';

/**
 * Keys of nsecbunker.json may have no row in the archive. One that has got a row since takes it along when it was
 * deleted or locked there; one that has none yet takes its lock along.
 */
export function carryLegacyKeys(
  restored: Database.Database,
  present: Database.Database,
  legacyKeys: readonly string[],
  isNewer: IsNewer,
): { keys: number; locks: number } {
  const carried = { keys: 0, locks: 0 };
  if (columnsOf(restored, 'redoubt_meta').size === 0) return carried;
  const hasRow = restored.prepare('SELECT 1 FROM "Key" WHERE keyName = ?');
  const lacksRow = (name: unknown) => legacyKeys.includes(String(name)) && hasRow.get(name) === undefined;
  const addRow = restored.prepare(
    `INSERT INTO "Key" (keyName, pubkey, createdAt, updatedAt, deletedAt, lockedAt)
      VALUES (@keyName, @pubkey, @createdAt, @updatedAt, @deletedAt, @lockedAt)`,
  );
  const columns = ['keyName', 'pubkey', 'createdAt', 'updatedAt', 'deletedAt', 'lockedAt'];
  for (const row of rowsOf(present, 'Key', columns)) {
    const [deleted, locked] = [isNewer(row.deletedAt), isNewer(row.lockedAt)];
    if (!(deleted || locked) || !lacksRow(row.keyName)) continue;
    addRow.run(row);
    if (deleted) carried.keys++;
    else carried.locks++;
  }
  const addLock = restored.prepare('INSERT OR IGNORE INTO redoubt_meta (name, value) VALUES (@name, @value)');
  for (const { name, value } of rowsOf(present, 'redoubt_meta', ['name', 'value'])) {
    const key = String(name).startsWith(LOCKED) ? String(name).slice(LOCKED.length) : null;
    if (key === null || !isNewer(Number(value)) || !lacksRow(key)) continue;
    carried.locks += addLock.run({ name, value }).changes;
  }
  return carried;
}
