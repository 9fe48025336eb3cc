import { Policy, PolicyRule, type PolicyRuleEntity, TokenRuleUsage } from '../../store/entities.ts';
import type { Store } from '../../store/open.ts';
import type { Desk } from '../desk.ts';
import type { NewRule, Outcome, RuleRow } from '../protocol.ts';
import { isSet } from './is-set.ts';
import { checkRule, MOST_RULES } from './new-rule.ts';

/** Adds a rule to a policy; one that is there already, word for word, is not added twice. */
export async function addRule(
  store: Store,
  { clock, index }: Desk,
  wanted: { policyId: number; rule: NewRule },
): Promise<Outcome<RuleRow>> {
  const { policyId } = wanted;
  const now = clock.now();
  const checked = checkRule(wanted.rule, now);
  if (!checked.ok) return { ok: false, refusal: `the rule cannot be added: ${checked.refusal}` };
  const { rule } = checked;
  const outcome = await store.orm.em.fork().transactional(async (em): Promise<Outcome<RuleRow>> => {
    const policy = await em.findOne(Policy, { id: policyId }, { populate: ['rules'] });
    if (policy === null || isSet(policy.deletedAt)) {
      return { ok: false, refusal: `there is no policy ${policyId}: get_policies lists them` };
    }
    const same = policy.rules
      .getItems()
      .map(ruleRow)
      .find((row) => isSame(row, rule));
    if (same !== undefined) return { ok: true, value: same };
    if (policy.rules.length >= MOST_RULES) {
      return { ok: false, refusal: `policy ${policyId} has ${MOST_RULES} rules, which is the most that one may have` };
    }
    const made = em.create(PolicyRule, { ...rule, currentUsageCount: 0, policy });
    policy.updatedAt = now;
    await em.flush();
    return { ok: true, value: ruleRow(made) };
  });
  index.forgetPolicy(policyId);
  return outcome;
}

/** What it granted ends; what it counted goes with it. */
export async function removeRule(store: Store, { clock, index }: Desk, id: number): Promise<Outcome<null>> {
  let policyId: number | null = null;
  const outcome = await store.orm.em.fork().transactional(async (em): Promise<Outcome<null>> => {
    const rule = await em.findOne(PolicyRule, { id }, { populate: ['policy'] });
    if (rule === null) return { ok: false, refusal: `there is no rule ${id}: get_policies lists them` };
    if (rule.policy) {
      policyId = rule.policy.id;
      rule.policy.updatedAt = clock.now();
    }
    await em.nativeDelete(TokenRuleUsage, { ruleId: id });
    em.remove(rule);
    return { ok: true, value: null };
  });
  if (policyId !== null) index.forgetPolicy(policyId);
  return outcome;
}

export function ruleRow(rule: PolicyRuleEntity): RuleRow {
  return {
    id: rule.id,
    method: rule.method,
    kind: rule.kind ?? null,
    maxUsageCount: rule.maxUsageCount ?? null,
    currentUsageCount: rule.currentUsageCount ?? 0,
    maxUsagePerToken: rule.maxUsagePerToken ?? null,
    expiresAt: rule.expiresAt ?? null,
  };
}

function isSame(row: RuleRow, rule: NewRule): boolean {
  return (['method', 'kind', 'maxUsageCount', 'maxUsagePerToken', 'expiresAt'] as const).every(
    (part) => row[part] === rule[part],
  );
}
