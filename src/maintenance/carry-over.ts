import type Database from 'better-sqlite3';
import { readDateTime } from '../../prisma-compat/date-time.ts';
import { columnsOf } from './columns.ts';
import { carryLegacyKeys } from './legacy-keys-since.ts';
import { endPurged } from './purged.ts';
import { revoker } from './revoke-client.ts';
import { goneRows, lastGiven, rowsOf, sameRows } from './rows.ts';

/** What was changed in a restored database, so that nothing that was ended since the archive comes back to life. */
export interface CarriedOver {
  /** Tokens that nobody had redeemed: their secrets are as old as the archive. */
  voidedTokens: number;
  /** Ended after the archive was made, and ended in the restored database too. */
  clients: number;
  tokens: number;
  policies: number;
  rules: number;
  conditions: number;
  deniedClients: number;
  keys: number;
  locks: number;
  /** Those of them that were removed for good, as with a purged key: `key NAME`, `client KEY PUBKEY`, `token ID of KEY`. */
  purged: string[];
  /** Pairings that are younger than the archive, as `key client`: they are not in it. */
  lostPairings: string[];
}

/** What the present database says of the time since. */
export type Since = Omit<CarriedOver, 'voidedTokens'>;

/** Voids every token that nobody has redeemed. */
export function voidTokens(db: Database.Database, now: number): number {
  return db
    .prepare('UPDATE "Token" SET deletedAt = @now, updatedAt = @now WHERE redeemedAt IS NULL AND deletedAt IS NULL')
    .run({ now }).changes;
}

/**
 * Repeats in `restored` what was revoked in `present` after `createdAt` (ms): clients, tokens, policies, rules,
 * permissions and keys; and what was denied or locked. Both are databases of one installation at two moments; of
 * another one's nothing is known by its absence.
 *
 * @param legacyKeys keys that lie in the configuration of the archive
 */
export function carryOver(
  restored: Database.Database,
  present: Database.Database,
  { createdAt, now, legacyKeys }: { createdAt: number; now: number; legacyKeys: readonly string[] },
): Since {
  // A date that cannot be read counts as one that has passed, and its row as ended.
  const isNewer = (value: unknown) => {
    const at = readDateTime(value);
    return at !== null && (at === 0 || at >= createdAt);
  };
  return restored.transaction(() => {
    const gone = endPurged(restored, present, now);
    const legacy = carryLegacyKeys(restored, present, legacyKeys, isNewer);
    return {
      clients: gone.clients.length + revokeClients(restored, present, isNewer, now),
      tokens: gone.tokens.length + endRows(restored, present, 'Token', ['token'], 'deletedAt', isNewer),
      policies: endRows(restored, present, 'Policy', ['id', 'name'], 'deletedAt', isNewer),
      rules: removeRules(restored, present),
      conditions: removeConditions(restored, present),
      deniedClients: addDenials(restored, present, now),
      keys: gone.keys.length + legacy.keys + endRows(restored, present, 'Key', ['pubkey'], 'deletedAt', isNewer),
      locks: legacy.locks + endRows(restored, present, 'Key', ['pubkey'], 'lockedAt', isNewer),
      purged: [...gone.keys, ...gone.clients, ...gone.tokens],
      lostPairings: lostPairings(restored, present),
    };
  })();
}

export type IsNewer = (value: unknown) => boolean;

function revokeClients(restored: Database.Database, present: Database.Database, isNewer: IsNewer, now: number): number {
  if (!columnsOf(restored, 'KeyUser').has('revokedAt')) return 0;
  const find = restored
    .prepare('SELECT id FROM "KeyUser" WHERE keyName = @keyName AND userPubkey = @userPubkey')
    .pluck();
  const revoke = revoker(restored, now);
  let count = 0;
  for (const { revokedAt, ...client } of rowsOf(present, 'KeyUser', ['keyName', 'userPubkey', 'revokedAt'])) {
    if (isNewer(revokedAt) && revoke(find.get(client), revokedAt)) count++;
  }
  return count;
}

/** Sets a date that was set after the archive was made. @param by columns that tell a row in both files */
function endRows(
  restored: Database.Database,
  present: Database.Database,
  table: string,
  by: string[],
  date: string,
  isNewer: IsNewer,
): number {
  if (!columnsOf(restored, table).has(date)) return 0;
  const same = by.map((column) => `"${column}" = @${column}`).join(' AND ');
  const end = restored.prepare(`UPDATE "${table}" SET "${date}" = @at WHERE ${same} AND "${date}" IS NULL`);
  let count = 0;
  for (const { [date]: at, ...names } of rowsOf(present, table, [...by, date])) {
    if (isNewer(at)) count += end.run({ ...names, at }).changes;
  }
  return count;
}

/** Rules that a policy has lost since. */
function removeRules(restored: Database.Database, present: Database.Database): number {
  const policies = sameRows(restored, present, 'Policy', ['id', 'name', 'createdAt']);
  return removeGone(restored, present, 'PolicyRule', 'policyId', policies);
}

/** Permissions that were taken back, or stripped, since. */
function removeConditions(restored: Database.Database, present: Database.Database): number {
  const clients = sameRows(restored, present, 'KeyUser', ['id', 'keyName', 'userPubkey', 'createdAt']);
  return removeGone(restored, present, 'SigningCondition', 'keyUserId', clients);
}

function removeGone(
  restored: Database.Database,
  present: Database.Database,
  table: string,
  parent: string,
  parents: ReadonlySet<number>,
): number {
  const gone = goneRows(restored, present, table, ['id', parent]).filter((row) => parents.has(row[parent] as number));
  // What was denied by hand is not given back by an older archive, and not taken away by it either.
  const keepDenials = table === 'SigningCondition' ? ' AND allowed = 1' : '';
  const remove = restored.prepare(`DELETE FROM "${table}" WHERE id = ?${keepDenials}`);
  return gone.reduce((count, { id }) => count + remove.run(id).changes, 0);
}

/** Denials that were set after the archive was made. */
function addDenials(restored: Database.Database, present: Database.Database, now: number): number {
  const given = lastGiven(restored, 'SigningCondition');
  const hasExpiry = columnsOf(restored, 'SigningCondition').has('expiresAt');
  const client = present.prepare('SELECT keyName, userPubkey FROM "KeyUser" WHERE id = ?');
  const here = restored.prepare('SELECT id FROM "KeyUser" WHERE keyName = ? AND userPubkey = ?').pluck();
  const add = restored.prepare(
    `INSERT INTO "SigningCondition" (method, kind, allowed, keyUserId${hasExpiry ? ', expiresAt' : ''})
      VALUES (@method, @kind, 0, @keyUserId${hasExpiry ? ', @expiresAt' : ''})`,
  );
  const clients = new Set<number>();
  for (const row of rowsOf(present, 'SigningCondition', [
    'id',
    'method',
    'kind',
    'allowed',
    'keyUserId',
    'expiresAt',
  ])) {
    const { id, method, kind, allowed, expiresAt } = row;
    const end = readDateTime(expiresAt);
    if ((id as number) <= given || allowed !== 0 || (end !== null && end <= now)) continue;
    const whose = client.get(row.keyUserId) as { keyName: string; userPubkey: string } | undefined;
    const keyUserId = whose === undefined ? undefined : here.get(whose.keyName, whose.userPubkey);
    if (keyUserId === undefined) continue;
    add.run({ method, kind, keyUserId, ...(hasExpiry ? { expiresAt } : {}) });
    clients.add(keyUserId as number);
  }
  return clients.size;
}

function lostPairings(restored: Database.Database, present: Database.Database): string[] {
  const sql = `SELECT DISTINCT u.keyName || ' ' || u.userPubkey FROM "Token" t JOIN "KeyUser" u ON u.id = t.keyUserId
    WHERE t.redeemedAt IS NOT NULL`;
  const have = new Set(restored.prepare(sql).pluck().all());
  return (present.prepare(sql).pluck().all() as string[]).filter((pairing) => !have.has(pairing));
}
