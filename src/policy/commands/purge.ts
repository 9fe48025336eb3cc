import type { Store } from '../../store/open.ts';
import type { Desk } from '../desk.ts';
import type { Outcome } from '../protocol.ts';

/** What goes with a key, in an order that no reference is in the way of. */
const REMOVED = [
  'DELETE FROM "TokenRuleUsage" WHERE tokenId IN (SELECT id FROM "Token" WHERE keyName = ?)',
  'DELETE FROM "Token" WHERE keyName = ?',
  'DELETE FROM "SigningCondition" WHERE keyUserId IN (SELECT id FROM "KeyUser" WHERE keyName = ?)',
  'DELETE FROM "Request" WHERE keyName = ?',
  'DELETE FROM "KeyUser" WHERE keyName = ?',
  'DELETE FROM "Key" WHERE keyName = ?',
];

/**
 * Removes a deleted key with its clients and tokens, in one transaction: who has its name after it inherits nothing. The
 * audit log keeps its rows; the chain does not cover which KeyUser they point to.
 */
export async function purgeKey({ db }: Store, { index, writes }: Desk, name: string): Promise<Outcome<null>> {
  const key = index.key(name);
  if (key.pubkey === null) return { ok: false, refusal: `no key named "${name}"` };
  if (key.deletedAt === null) return { ok: false, refusal: `key "${name}" is not deleted: delete it first` };
  writes.begin();
  try {
    for (const statement of REMOVED) db.prepare(statement).run(name);
    writes.commit();
  } catch (error) {
    writes.rollback();
    throw error;
  }
  index.forgetAll();
  return { ok: true, value: null };
}
