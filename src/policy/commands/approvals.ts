import { Key, KeyUser, SigningCondition } from '../../store/entities.ts';
import type { Store } from '../../store/open.ts';
import type { Desk } from '../desk.ts';
import type { AdminToPolicy, Approval, Outcome } from '../protocol.ts';
import { isSet } from './is-set.ts';

/** What an admin decided for good: a signing condition of this client, in force at the next decision. */
export async function writeApproval(store: Store, desk: Desk, wanted: Approval): Promise<Outcome<null>> {
  const { keyName, client, method, allowed, label } = wanted;
  const now = desk.clock.now();
  const outcome = await store.orm.em.fork().transactional(async (em): Promise<Outcome<null>> => {
    const key = await em.findOne(Key, { keyName });
    if (key === null || isSet(key.deletedAt)) return refused(`there is no key ${keyName} any more`);
    let user = await em.findOne(KeyUser, { keyName, userPubkey: client });
    if (user === null && method !== 'connect') return refused(`the client is not bound to key ${keyName} any more`);
    if (user !== null && isSet(user.revokedAt)) {
      return refused('the client was revoked: a fresh token ("redoubt token create") brings it back');
    }
    user ??= em.create(KeyUser, { keyName, userPubkey: client, createdAt: now, updatedAt: now });
    // As everywhere: a name that somebody gave stays. The web interface renames at the same moment, in whatever order.
    if (label !== null && !user.description) user.description = label;
    const condition = conditionOf(wanted);
    const there = user.id === undefined ? [] : await em.find(SigningCondition, { keyUser: user, ...condition });
    if (!there.some((row) => !isSet(row.expiresAt))) em.create(SigningCondition, { ...condition, keyUser: user });
    return { ok: true, value: null };
  });
  if (!outcome.ok) return outcome;
  desk.index.forgetBinding(keyName, client);
  if (allowed && method === 'connect') desk.bound(keyName, client);
  return outcome;
}

/** What an admin allowed once: nothing is written until it is used. */
export function passOnce(desk: Desk, wanted: AdminToPolicy['passOnce']['body']): Outcome<null> {
  const { passes, ...pass } = wanted;
  for (const id of passes) desk.passes.give(id, pass);
  return { ok: true, value: null };
}

/** Whoever may never connect would be bound by that very row: everything is denied to it. */
function conditionOf({ method, kind, allowed }: Approval): { method: string; kind: string | null; allowed: boolean } {
  if (method === 'connect' && !allowed) return { method: '*', kind: null, allowed };
  return { method, kind: method === 'sign_event' ? kind : null, allowed };
}

function refused(refusal: string): Outcome<null> {
  return { ok: false, refusal };
}
