import type { EntityManager } from '@mikro-orm/core';
import type { Clock } from '../../actor/clock.ts';
import { Key, KeyUser, Policy, type PolicyEntity, PolicyRule, Token } from '../../store/entities.ts';
import type { Store } from '../../store/open.ts';
import type { Desk } from '../desk.ts';
import type { NewRule, Outcome, Paired, Pairing } from '../protocol.ts';
import { READY_MADE } from '../ready-made.ts';
import { isSet } from './is-set.ts';
import { insertKey, keyRow } from './keys.ts';
import { expiryRefusal, insertToken, tokenRow } from './tokens.ts';

/**
 * A token for a key, and whatever it needs, in one transaction: the key's row when it is a new one (`pubkey`), the
 * ready-made policy or those of its rules that are missing, and the end of the key's other clients if that is wanted.
 */
export async function pair(
  store: Store,
  desk: Desk,
  random: (bytes: number) => Uint8Array,
  wanted: { keyName: string; pubkey: string | null; pairing: Pairing },
): Promise<Outcome<Paired>> {
  const { keyName, pubkey, pairing } = wanted;
  const { clientName, expiresAt, createdBy } = pairing;
  const now = desk.clock.now();
  const unfit = expiryRefusal(expiresAt, now);
  if (unfit !== null) return { ok: false, refusal: unfit };
  const revoked: string[] = [];
  const outcome = await store.orm.em.fork().transactional(async (em): Promise<Outcome<Paired>> => {
    const found = await findPolicy(em, pairing.policy, now);
    if (!found.ok) return found;
    const key = pubkey === null ? await livingKey(em, keyName) : await insertKey(em, desk, { name: keyName, pubkey });
    if (!key.ok) return key;

    // Nothing is refused from here on: what has been changed is kept.
    const policy = found.value ?? em.create(Policy, { name: pairing.policy, createdAt: now, updatedAt: now });
    for (const rule of missingRules(found.value, pairing.policy, now)) {
      em.create(PolicyRule, { ...rule, currentUsageCount: 0, policy });
      policy.updatedAt = now;
    }
    if (pairing.revokeOld) revoked.push(...(await revokeAll(em, desk, keyName, now)));
    const token = insertToken(em, random, { keyName, clientName, createdBy, expiresAt, policy, now });
    await em.flush();
    return { ok: true, value: { key: keyRow(key.value), token: tokenRow(token, key.value.pubkey) } };
  });
  if (!outcome.ok) return outcome;
  desk.index.forgetPolicy(outcome.value.token.policyId!);
  desk.index.forgetKey(keyName);
  for (const client of revoked) desk.index.forgetBinding(keyName, client);
  return outcome;
}

/** Whether there is any point in making a key for it; looked at again when it is paired. */
export async function checkPairing(store: Store, clock: Clock, pairing: Pairing): Promise<Outcome<null>> {
  const now = clock.now();
  const unfit = expiryRefusal(pairing.expiresAt, now);
  if (unfit !== null) return { ok: false, refusal: unfit };
  const found = await findPolicy(store.orm.em.fork(), pairing.policy, now);
  return found.ok ? { ok: true, value: null } : found;
}

async function livingKey(em: EntityManager, keyName: string) {
  const key = await em.findOne(Key, { keyName });
  if (key === null) return { ok: false as const, refusal: `there is no key ${keyName}` };
  if (isSet(key.deletedAt)) return { ok: false as const, refusal: `key ${keyName} was deleted` };
  return { ok: true as const, value: key };
}

/** Null for a ready-made policy that is to be made. */
async function findPolicy(em: EntityManager, name: string, now: number): Promise<Outcome<PolicyEntity | null>> {
  const named = await em.find(Policy, { name, deletedAt: null }, { populate: ['rules'], orderBy: { id: 'asc' } });
  const living = named.filter((policy) => !isSet(policy.expiresAt) || policy.expiresAt > now);
  if (living.length === 1) return { ok: true, value: living[0]! };
  if (living.length > 1) {
    const ids = living.map((policy) => policy.id).join(', ');
    return { ok: false, refusal: `${living.length} policies are named "${name}" (${ids}): delete all but one` };
  }
  if (READY_MADE.has(name)) return { ok: true, value: null };
  if (named.length > 0) return { ok: false, refusal: `policy "${name}" has expired` };
  const ready = [...READY_MADE.keys()].join(', ');
  return {
    ok: false,
    refusal: `no policy named "${name}": get_policies lists them, and made when needed are ${ready}`,
  };
}

/** Of a ready-made policy. A rule that has a limit of its own was set by an admin, and counts as there. */
function missingRules(policy: PolicyEntity | null, name: string, now: number): readonly NewRule[] {
  const ready = READY_MADE.get(name) ?? [];
  if (policy === null) return ready;
  const there = policy.rules.getItems().filter((rule) => !isSet(rule.expiresAt) || rule.expiresAt > now);
  const kindOf = (kind: string | null | undefined) => kind ?? 'all';
  return ready.filter(
    (rule) => !there.some((one) => one.method === rule.method && kindOf(one.kind) === kindOf(rule.kind)),
  );
}

/** Ends every client of the key, and the invitations that nobody has used; the clients' pubkeys. */
async function revokeAll(em: EntityManager, { writes }: Desk, keyName: string, now: number): Promise<string[]> {
  for (const token of await em.find(Token, { keyName, redeemedAt: null, deletedAt: null })) {
    token.deletedAt = now;
    token.updatedAt = now;
  }
  const users = await em.find(KeyUser, { keyName, revokedAt: null });
  // On the ORM's own connection, and so in its transaction.
  for (const { id } of users) writes.revoke({ keyUserId: id, now });
  return users.map((user) => user.userPubkey);
}
