import { readDateTime } from '../../../prisma-compat/date-time.ts';
import { KeyUser } from '../../store/entities.ts';
import type { Store } from '../../store/open.ts';
import type { Desk } from '../desk.ts';
import type { ConditionRow, Outcome, Slice, UserRow } from '../protocol.ts';

type Row = { [column: string]: number | string | null };

/** Clients of a key in the order of their ids, revoked ones too, with the overrides that admins set for them. */
export function pageUsers({ db }: Store, wanted: { keyName: string } & Slice): UserRow[] {
  const users = db
    .prepare('SELECT * FROM "KeyUser" WHERE keyName = @keyName AND id > @after ORDER BY id LIMIT @limit OFFSET @offset')
    .all(wanted) as Row[];
  const conditions = db.prepare('SELECT * FROM "SigningCondition" WHERE keyUserId = ? ORDER BY id');
  return users.map((row) => ({
    id: row.id as number,
    keyName: row.keyName as string,
    pubkey: row.userPubkey as string,
    description: row.description as string | null,
    createdAt: readDateTime(row.createdAt) ?? 0,
    lastUsedAt: readDateTime(row.lastUsedAt),
    revokedAt: readDateTime(row.revokedAt),
    conditions: (conditions.all(row.id) as Row[]).map(conditionRow),
  }));
}

/** What an admin calls a client: under one key, or under every key that it is bound to. */
export async function renameUser(
  store: Store,
  { clock }: Desk,
  wanted: { pubkey: string; name: string; keyName: string | null },
): Promise<Outcome<null>> {
  const { pubkey, name, keyName } = wanted;
  return store.orm.em.fork().transactional(async (em): Promise<Outcome<null>> => {
    const users = await em.find(KeyUser, { userPubkey: pubkey, ...(keyName === null ? {} : { keyName }) });
    if (users.length === 0) {
      const where = keyName === null ? 'any key' : `key ${keyName}`;
      return { ok: false, refusal: `no client with that pubkey is bound to ${where}: get_key_users lists them` };
    }
    const now = clock.now();
    for (const user of users) {
      user.description = name;
      user.updatedAt = now;
    }
    return { ok: true, value: null };
  });
}

/**
 * Everything from this client is refused from now on, and what was granted stays dead when a fresh token brings it
 * back: the same transaction as a client's own logout. Revoking it again changes nothing.
 */
export async function revokeUser(store: Store, { clock, index, writes }: Desk, id: number): Promise<Outcome<null>> {
  const user = store.db.prepare('SELECT keyName, userPubkey FROM "KeyUser" WHERE id = ?').get(id) as
    | { keyName: string; userPubkey: string }
    | undefined;
  if (user === undefined) return { ok: false, refusal: `there is no user ${id}: get_key_users lists them` };
  writes.begin();
  try {
    writes.revoke({ keyUserId: id, now: clock.now() });
    writes.commit();
  } catch (error) {
    writes.rollback();
    throw error;
  }
  index.forgetBinding(user.keyName, user.userPubkey);
  return { ok: true, value: null };
}

function conditionRow(row: Row): ConditionRow {
  return {
    id: row.id as number,
    method: row.method as string | null,
    kind: row.kind as string | null,
    content: row.content as string | null,
    keyUserKeyName: row.keyUserKeyName as string | null,
    allowed: row.allowed === null ? null : row.allowed === 1,
    keyUserId: row.keyUserId as number | null,
    expiresAt: readDateTime(row.expiresAt),
  };
}
