import type Database from 'better-sqlite3';
import { columnsOf, selectFrom } from './columns.ts';
import { revoker } from './revoke-client.ts';
import { goneRows, type Row, sameRows } from './rows.ts';

/** What was removed for good since an archive was made, and is ended in what is restored; each with its name. */
export interface Purged {
  keys: string[];
  clients: string[];
  tokens: string[];
}

const NOTHING: Purged = { keys: [], clients: [], tokens: [] };

/**
 * Purging a key removes its row, its clients and its tokens, so that nothing in the present file says that they were
 * ended but that they are not there. A key that was imported again since lives on; its old clients do not.
 */
export function endPurged(restored: Database.Database, present: Database.Database, now: number): Purged {
  // Only Redoubt purges; a file of nsecbunkerd may lack these tables.
  if (![restored, present].every((db) => columnsOf(db, 'Key').has('lockedAt'))) return NOTHING;
  if (!isSameInstallation(restored, present)) return NOTHING;
  const gone = (table: string, columns: string[]) => goneRows(restored, present, table, ['id', ...columns]);
  const end = (table: string) => {
    const sql = `UPDATE "${table}" SET deletedAt = @now, updatedAt = @now WHERE id = @id AND deletedAt IS NULL`;
    const statement = restored.prepare(sql);
    return ({ id }: Row) => statement.run({ id, now }).changes > 0;
  };
  const known = present.prepare('SELECT 1 FROM "Key" WHERE pubkey = ?');
  const keys = gone('Key', ['keyName', 'pubkey']).filter(({ pubkey }) => known.get(pubkey) === undefined);
  const clients = gone('KeyUser', ['keyName', 'userPubkey']);
  const tokens = gone('Token', ['keyName']);
  const revoke = revoker(restored, now);
  return {
    keys: keys.filter(end('Key')).map(({ keyName }) => `key ${keyName}`),
    tokens: tokens.filter(end('Token')).map(({ id, keyName }) => `token ${id} of ${keyName}`),
    clients: clients.filter(({ id }) => revoke(id, now)).map((row) => `client ${row.keyName} ${row.userPubkey}`),
  };
}

/** Whether the two have a key, a policy or the archive's last audit row in common. */
function isSameInstallation(restored: Database.Database, present: Database.Database): boolean {
  if (sameRows(restored, present, 'Key', ['id', 'pubkey', 'createdAt']).size > 0) return true;
  if (sameRows(restored, present, 'Policy', ['id', 'name', 'createdAt']).size > 0) return true;
  const columns = ['id', 'timestamp', 'type', 'params'];
  const last = restored.prepare(selectFrom(restored, 'Log', columns, 'ORDER BY id DESC LIMIT 1')).get() as
    | Row
    | undefined;
  if (last === undefined) return false;
  const same = present.prepare(selectFrom(present, 'Log', columns, 'WHERE id = ?')).get(last.id);
  return JSON.stringify(same) === JSON.stringify(last);
}
