import type { EntityManager } from '@mikro-orm/core';
import { readDateTime } from '../../../prisma-compat/date-time.ts';
import type { Clock } from '../../actor/clock.ts';
import { Key, type KeyEntity } from '../../store/entities.ts';
import type { Store } from '../../store/open.ts';
import type { Desk } from '../desk.ts';
import type { KeyRow, Outcome, Slice } from '../protocol.ts';
import { RESERVED } from '../reserved.ts';
import { isSet } from './is-set.ts';

/** Before the name of a key in redoubt_meta: since when a key without a row is locked. */
const LOCKED = 'lockedAt:';

type Row = { [column: string]: number | string | null };

const COUNTED = `
  SELECT k.*, COALESCE(u.n, 0) AS userCount, COALESCE(t.n, 0) AS tokenCount FROM "Key" k
  LEFT JOIN (SELECT keyName, count(*) AS n FROM "KeyUser" GROUP BY keyName) u ON u.keyName = k.keyName
  LEFT JOIN (SELECT keyName, count(*) AS n FROM "Token" GROUP BY keyName) t ON t.keyName = k.keyName
  ORDER BY k.id`;

/** Behind those that have a row. */
const FIRST_ID_WITHOUT_ROW = 2 ** 40;

/** Keys that nsecbunkerd left in its file and that have no row; what an admin locked of them is remembered apart. */
const WITHOUT_ROW = `
  SELECT ${FIRST_ID_WITHOUT_ROW} + j.key AS id, j.value AS keyName, '' AS pubkey, 0 AS createdAt, NULL AS deletedAt,
    CAST(m.value AS INTEGER) AS lockedAt
  FROM json_each(@legacy) j LEFT JOIN redoubt_meta m ON m.name = '${LOCKED}' || j.value
  WHERE j.value NOT IN (SELECT keyName FROM "Key")`;

const COUNTS = `
  (SELECT count(*) FROM "KeyUser" WHERE keyName = k.keyName) AS userCount,
  (SELECT count(*) FROM "Token" WHERE keyName = k.keyName) AS tokenCount`;

/** Counts the clients and tokens of the keys on the page, and of no others. */
const PAGE = `
  WITH k AS (
    SELECT * FROM (
      SELECT id, keyName, pubkey, createdAt, deletedAt, lockedAt FROM "Key" WHERE deletedAt IS NULL
      UNION ALL ${WITHOUT_ROW}
    ) WHERE id > @after ORDER BY id LIMIT @limit OFFSET @offset
  )
  SELECT k.*, ${COUNTS} FROM k ORDER BY id`;

/** Every key, deleted ones too, with how many clients and tokens it has. `legacy`: names in nsecbunker.json. */
export function listKeys({ db }: Store, legacy: readonly string[]): KeyRow[] {
  const rows = db.prepare(COUNTED).all();
  const named = { legacy: JSON.stringify(legacy) };
  if (legacy.length > 0) rows.push(...db.prepare(`SELECT k.*, ${COUNTS} FROM (${WITHOUT_ROW}) k`).all(named));
  return (rows as Row[]).map(readKey);
}

export function pageKeys({ db }: Store, slice: Slice, legacy: readonly string[]): KeyRow[] {
  return (db.prepare(PAGE).all({ ...slice, legacy: JSON.stringify(legacy) }) as Row[]).map(readKey);
}

export function findKey({ db }: Store, name: string, legacy: readonly string[]): KeyRow | null {
  const row = db.prepare('SELECT *, 0 AS userCount, 0 AS tokenCount FROM "Key" WHERE keyName = ?').get(name);
  if (row !== undefined) return readKey(row as Row);
  if (!legacy.includes(name)) return null;
  const named = { legacy: JSON.stringify([name]) };
  return readKey(db.prepare(`SELECT k.*, 0 AS userCount, 0 AS tokenCount FROM (${WITHOUT_ROW}) k`).get(named) as Row);
}

function readKey(row: Row): KeyRow {
  return {
    id: row.id as number,
    name: row.keyName as string,
    pubkey: row.pubkey as string,
    createdAt: readDateTime(row.createdAt) ?? 0,
    deletedAt: readDateTime(row.deletedAt),
    lockedAt: readDateTime(row.lockedAt),
    userCount: row.userCount as number,
    tokenCount: row.tokenCount as number,
  };
}

/** A name is used once, by a deleted key too; and a pubkey has one name. */
export async function createKey(
  store: Store,
  desk: Desk,
  wanted: { name: string; pubkey: string },
): Promise<Outcome<KeyRow>> {
  return store.orm.em.fork().transactional(async (em): Promise<Outcome<KeyRow>> => {
    const made = await insertKey(em, desk, wanted);
    if (!made.ok) return made;
    await em.flush();
    return { ok: true, value: keyRow(made.value) };
  });
}

/** In a transaction of the caller's: the row to be, unless it is refused. */
export async function insertKey(
  em: EntityManager,
  { clock, reserved }: Desk,
  { name, pubkey }: { name: string; pubkey: string },
): Promise<Outcome<KeyEntity>> {
  if (name === '') return { ok: false, refusal: 'a key needs a name' };
  if (!/^[0-9a-f]{64}$/.test(pubkey)) return { ok: false, refusal: `the pubkey of key ${name} is not 64 hex digits` };
  if (reserved.has(pubkey)) return { ok: false, refusal: RESERVED };
  const taken = await em.findOne(Key, { keyName: name });
  if (taken !== null) {
    const deleted = isSet(taken.deletedAt) ? ' (it was deleted, and keeps its name)' : '';
    return { ok: false, refusal: `there is a key ${name} already${deleted}` };
  }
  const known = await em.findOne(Key, { pubkey });
  if (known !== null) return { ok: false, refusal: `that key is here already, as ${known.keyName}` };
  const now = clock.now();
  return { ok: true, value: em.create(Key, { keyName: name, pubkey, createdAt: now, updatedAt: now }) };
}

/** A key without its counts. */
export function keyRow({ id, keyName, pubkey, createdAt, deletedAt, lockedAt }: KeyEntity): KeyRow {
  const dates = { createdAt, deletedAt: deletedAt ?? null, lockedAt: lockedAt ?? null };
  return { id, name: keyName, pubkey, ...dates, userCount: 0, tokenCount: 0 };
}

/** Locked on purpose: stays so over restarts, until an explicit unlock. */
export async function setLocked(
  store: Store,
  clock: Clock,
  wanted: { name: string; locked: boolean },
  legacy: readonly string[],
): Promise<Outcome<null>> {
  return store.orm.em.fork().transactional(async (em): Promise<Outcome<null>> => {
    const key = await em.findOne(Key, { keyName: wanted.name });
    const now = clock.now();
    const meta = `${LOCKED}${wanted.name}`;
    store.db.prepare('DELETE FROM redoubt_meta WHERE name = ?').run(meta);
    if (key === null) {
      if (!legacy.includes(wanted.name)) return { ok: false, refusal: `there is no key ${wanted.name}` };
      const row = 'INSERT INTO redoubt_meta (name, value) VALUES (?, ?)';
      if (wanted.locked) store.db.prepare(row).run(meta, String(now));
      return { ok: true, value: null };
    }
    key.lockedAt = wanted.locked ? now : null;
    key.updatedAt = now;
    return { ok: true, value: null };
  });
}

/** From the next decision on everything is denied. The row keeps its name and pubkey. Deleting it again changes nothing. */
export async function deleteKey(store: Store, { clock, index }: Desk, name: string): Promise<Outcome<null>> {
  const outcome = await store.orm.em.fork().transactional(async (em): Promise<Outcome<null>> => {
    const key = await em.findOne(Key, { keyName: name });
    if (key === null) return { ok: false, refusal: `no key named "${name}": get_keys lists them` };
    if (!isSet(key.deletedAt)) {
      key.deletedAt = clock.now();
      key.updatedAt = key.deletedAt;
    }
    return { ok: true, value: null };
  });
  index.forgetKey(name);
  return outcome;
}
