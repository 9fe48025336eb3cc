import type { EntityManager } from '@mikro-orm/core';
import { readDateTime } from '../../../prisma-compat/date-time.ts';
import type { Clock } from '../../actor/clock.ts';
import { Key, type KeyEntity } from '../../store/entities.ts';
import type { Store } from '../../store/open.ts';
import type { Desk } from '../desk.ts';
import type { KeyRow, Outcome, Slice } from '../protocol.ts';

type Row = { [column: string]: number | string | null };

const COUNTED = `
  SELECT k.*, COALESCE(u.n, 0) AS userCount, COALESCE(t.n, 0) AS tokenCount FROM "Key" k
  LEFT JOIN (SELECT keyName, count(*) AS n FROM "KeyUser" GROUP BY keyName) u ON u.keyName = k.keyName
  LEFT JOIN (SELECT keyName, count(*) AS n FROM "Token" GROUP BY keyName) t ON t.keyName = k.keyName
  ORDER BY k.id`;

/** Counts the clients and tokens of the keys on the page, and of no others. */
const PAGE = `
  WITH page AS (SELECT * FROM "Key" WHERE deletedAt IS NULL AND id > @after ORDER BY id LIMIT @limit OFFSET @offset)
  SELECT page.*,
    (SELECT count(*) FROM "KeyUser" WHERE keyName = page.keyName) AS userCount,
    (SELECT count(*) FROM "Token" WHERE keyName = page.keyName) AS tokenCount
  FROM page ORDER BY id`;

/** Every key that has a row, deleted ones too, with how many clients and tokens it has. */
export function listKeys(store: Store): KeyRow[] {
  return (store.db.prepare(COUNTED).all() as Row[]).map(readKey);
}

export function pageKeys(store: Store, slice: Slice): KeyRow[] {
  return (store.db.prepare(PAGE).all(slice) as Row[]).map(readKey);
}

export function findKey(store: Store, name: string): KeyRow | null {
  const row = store.db.prepare('SELECT *, 0 AS userCount, 0 AS tokenCount FROM "Key" WHERE keyName = ?').get(name);
  return row === undefined ? null : readKey(row as Row);
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
  clock: Clock,
  wanted: { name: string; pubkey: string },
): Promise<Outcome<KeyRow>> {
  return store.orm.em.fork().transactional(async (em): Promise<Outcome<KeyRow>> => {
    const made = await insertKey(em, clock.now(), wanted);
    if (!made.ok) return made;
    await em.flush();
    return { ok: true, value: keyRow(made.value) };
  });
}

/** In a transaction of the caller's: the row to be, unless it is refused. */
export async function insertKey(
  em: EntityManager,
  now: number,
  { name, pubkey }: { name: string; pubkey: string },
): Promise<Outcome<KeyEntity>> {
  if (name === '') return { ok: false, refusal: 'a key needs a name' };
  if (!/^[0-9a-f]{64}$/.test(pubkey)) return { ok: false, refusal: `the pubkey of key ${name} is not 64 hex digits` };
  const taken = await em.findOne(Key, { keyName: name });
  if (taken !== null) {
    const deleted =
      taken.deletedAt === null || taken.deletedAt === undefined ? '' : ' (it was deleted, and keeps its name)';
    return { ok: false, refusal: `there is a key ${name} already${deleted}` };
  }
  const known = await em.findOne(Key, { pubkey });
  if (known !== null) return { ok: false, refusal: `that key is here already, as ${known.keyName}` };
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
): Promise<Outcome<null>> {
  return store.orm.em.fork().transactional(async (em): Promise<Outcome<null>> => {
    const key = await em.findOne(Key, { keyName: wanted.name });
    if (key === null) return { ok: false, refusal: `there is no key ${wanted.name}` };
    const now = clock.now();
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
    if (key.deletedAt === null || key.deletedAt === undefined) {
      key.deletedAt = clock.now();
      key.updatedAt = key.deletedAt;
    }
    return { ok: true, value: null };
  });
  index.forgetKey(name);
  return outcome;
}
