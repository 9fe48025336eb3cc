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
export async function purgeKey({ db }: Store, { index, lookups, writes }: Desk, name: string): Promise<Outcome<null>> {
  writes.begin();
  try {
    // As it stands in the file: another program may have deleted the key, or brought it back, since it was last read.
    const key = lookups.key(name);
    const refuse = (refusal: string): Outcome<null> => {
      writes.rollback();
      return { ok: false, refusal };
    };
    if (key.pubkey === null) return refuse(`no key named "${name}"`);
    if (key.deletedAt === null) return refuse(`key "${name}" is not deleted: delete it first`);
    for (const statement of REMOVED) db.prepare(statement).run(name);
    writes.commit();
  } catch (error) {
    writes.rollback();
    throw error;
  }
  index.forgetAll();
  return { ok: true, value: null };
}
