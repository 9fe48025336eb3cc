import { KeyUser, SigningCondition } from '../../store/entities.ts';
import type { Store } from '../../store/open.ts';
import type { Desk } from '../desk.ts';
import type { NewCondition, Outcome } from '../protocol.ts';
import { RULE_METHODS } from '../rule-methods.ts';
import { isKind } from './new-rule.ts';
import type { Touched } from './tokens.ts';

/** What became of it, and whose client is concerned. */
type Done = { outcome: Outcome<null>; touched?: Touched };

/** Sets a manual override for one client; the same one, word for word, is not set twice. */
export async function addCondition(
  store: Store,
  { clock, index }: Desk,
  wanted: { keyUserId: number; condition: NewCondition },
): Promise<Outcome<null>> {
  const { keyUserId } = wanted;
  const checked = checkCondition(wanted.condition, clock.now());
  if (!checked.ok) return checked;
  const { method, kind, allowed, expiresAt } = checked.value;
  const { outcome, touched } = await store.orm.em.fork().transactional(async (em): Promise<Done> => {
    const user = await em.findOne(KeyUser, { id: keyUserId });
    if (user === null) return refused(`there is no user ${keyUserId}: get_key_users lists them`);
    const there = await em.find(SigningCondition, { keyUser: user, method, kind, allowed });
    if (!there.some((row) => (row.expiresAt ?? null) === expiresAt)) {
      em.create(SigningCondition, { method, kind, allowed, expiresAt, keyUser: user });
    }
    return { outcome: { ok: true, value: null }, touched: { keyName: user.keyName, client: user.userPubkey } };
  });
  if (touched !== undefined) index.forgetBinding(touched.keyName, touched.client);
  return outcome;
}

/** What it said holds no longer, be it a grant or a denial. */
export async function removeCondition(store: Store, { index }: Desk, id: number): Promise<Outcome<null>> {
  const { outcome, touched } = await store.orm.em.fork().transactional(async (em): Promise<Done> => {
    const condition = await em.findOne(SigningCondition, { id }, { populate: ['keyUser'] });
    if (condition === null) return refused(`there is no signing condition ${id}: get_key_users lists them`);
    const user = condition.keyUser;
    em.remove(condition);
    const removed: Done = { outcome: { ok: true, value: null } };
    return user ? { ...removed, touched: { keyName: user.keyName, client: user.userPubkey } } : removed;
  });
  if (touched !== undefined) index.forgetBinding(touched.keyName, touched.client);
  return outcome;
}

/** For sign_event without a kind it is for `all`: a condition that has none matches nothing (docs/POLICY.md). */
function checkCondition(condition: NewCondition, now: number): Outcome<NewCondition> {
  const { method, allowed, expiresAt } = condition;
  const refuse = (what: string): Outcome<NewCondition> => ({
    ok: false,
    refusal: `the condition cannot be added: ${what}`,
  });
  if (method === '*' ? allowed : !(RULE_METHODS as readonly string[]).includes(method)) {
    return refuse(method === '*' ? 'the method * can only be denied' : 'its method is not one that can be allowed');
  }
  const kind = method === 'sign_event' ? condition.kind || 'all' : null;
  if (kind !== null && kind !== 'all' && !isKind(kind)) return refuse('its kind is not a number to 65535 or all');
  if (expiresAt !== null && !(expiresAt > now)) return refuse('it would be expired already');
  return { ok: true, value: { method, kind, allowed, expiresAt } };
}

function refused(refusal: string): Done {
  return { outcome: { ok: false, refusal } };
}
