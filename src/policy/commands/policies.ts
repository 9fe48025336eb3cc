import type { Clock } from '../../actor/clock.ts';
import { Policy, type PolicyEntity, PolicyRule } from '../../store/entities.ts';
import type { Store } from '../../store/open.ts';
import type { Desk } from '../desk.ts';
import type { NewRule, Outcome, PolicyRow, Slice } from '../protocol.ts';
import { isSet } from './is-set.ts';
import { checkRule, MOST_RULES } from './new-rule.ts';
import { ruleRow } from './rules.ts';

export async function listPolicies(store: Store): Promise<PolicyRow[]> {
  const found = await store.orm.em
    .fork()
    .find(Policy, { deletedAt: null }, { populate: ['rules'], orderBy: { id: 'asc' } });
  return found.map(policyRow);
}

export async function pagePolicies(store: Store, { after, offset, limit }: Slice): Promise<PolicyRow[]> {
  const found = await store.orm.em
    .fork()
    .find(
      Policy,
      { deletedAt: null, id: { $gt: after } },
      { populate: ['rules'], orderBy: { id: 'asc' }, offset, limit },
    );
  return found.map(policyRow);
}

export function findPolicies({ db }: Store, name: string): number[] {
  return db
    .prepare('SELECT id FROM "Policy" WHERE name = ? AND deletedAt IS NULL ORDER BY id')
    .pluck()
    .all(name) as number[];
}

/** All of it or nothing. */
export async function createPolicy(
  store: Store,
  clock: Clock,
  wanted: { name: string; description: string | null; expiresAt: number | null; rules: NewRule[] },
): Promise<Outcome<PolicyRow>> {
  if (wanted.name.trim() === '') return { ok: false, refusal: 'a policy needs a name' };
  const now = clock.now();
  if (wanted.expiresAt !== null && !(wanted.expiresAt > now)) {
    return { ok: false, refusal: `policy ${wanted.name} would be expired already: give a later date` };
  }
  if (wanted.rules.length > MOST_RULES) return { ok: false, refusal: `a policy has at most ${MOST_RULES} rules` };
  const rules: NewRule[] = [];
  for (const [i, rule] of wanted.rules.entries()) {
    const checked = checkRule(rule, now);
    if (!checked.ok) return { ok: false, refusal: `rule ${i + 1}: ${checked.refusal}` };
    rules.push(checked.rule);
  }
  return store.orm.em.fork().transactional(async (em): Promise<Outcome<PolicyRow>> => {
    const { name, description, expiresAt } = wanted;
    const policy = em.create(Policy, { name, description, expiresAt, createdAt: now, updatedAt: now });
    for (const rule of rules) em.create(PolicyRule, { ...rule, currentUsageCount: 0, policy });
    await em.flush();
    return { ok: true, value: policyRow(policy) };
  });
}

/** What it granted ends, whoever holds a token of it. Deleting it again changes nothing. */
export async function deletePolicy(store: Store, { clock, index }: Desk, id: number): Promise<Outcome<null>> {
  const outcome = await store.orm.em.fork().transactional(async (em): Promise<Outcome<null>> => {
    const policy = await em.findOne(Policy, { id });
    if (policy === null) return { ok: false, refusal: `there is no policy ${id}: get_policies lists them` };
    if (!isSet(policy.deletedAt)) {
      policy.deletedAt = clock.now();
      policy.updatedAt = policy.deletedAt;
    }
    return { ok: true, value: null };
  });
  index.forgetPolicy(id);
  return outcome;
}

function policyRow(policy: PolicyEntity): PolicyRow {
  return {
    id: policy.id,
    name: policy.name,
    description: policy.description ?? null,
    createdAt: policy.createdAt,
    updatedAt: policy.updatedAt,
    expiresAt: policy.expiresAt ?? null,
    rules: policy.rules.getItems().map(ruleRow),
  };
}
