import type { Clock } from '../../actor/clock.ts';
import { Policy, type PolicyEntity, PolicyRule } from '../../store/entities.ts';
import type { Store } from '../../store/open.ts';
import type { NewRule, Outcome, PolicyRow } from '../protocol.ts';
import { RULE_METHODS } from '../rule-methods.ts';

const LAST_KIND = 65_535;

type Checked = { ok: true; rule: NewRule } | { ok: false; refusal: string };

export async function listPolicies(store: Store): Promise<PolicyRow[]> {
  const found = await store.orm.em
    .fork()
    .find(Policy, { deletedAt: null }, { populate: ['rules'], orderBy: { id: 'asc' } });
  return found.map(policyRow);
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
  const rules: NewRule[] = [];
  for (const [i, rule] of wanted.rules.entries()) {
    const checked = checkRule(rule, i + 1, now);
    if (!checked.ok) return checked;
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

function checkRule(rule: NewRule, place: number, now: number): Checked {
  const refuse = (what: string): Checked => ({ ok: false, refusal: `rule ${place}: ${what}` });
  if (!(RULE_METHODS as readonly string[]).includes(rule.method))
    return refuse('its method is not one that a rule can grant');
  // nsecbunkerd's web interface leaves the kind of another rule there.
  const kind = rule.method === 'sign_event' && rule.kind !== '' ? rule.kind : null;
  if (kind !== null && kind !== 'all' && !isKind(kind))
    return refuse(`its kind is not a number to ${LAST_KIND} or all`);
  if (!isLimit(rule.maxUsageCount) || !isLimit(rule.maxUsagePerToken))
    return refuse('its use count is not a whole number');
  if (rule.expiresAt !== null && !(rule.expiresAt > now)) return refuse('it would be expired already');
  return { ok: true, rule: { ...rule, kind } };
}

function isKind(text: string): boolean {
  return /^(0|[1-9]\d{0,4})$/.test(text) && Number(text) <= LAST_KIND;
}

function isLimit(limit: number | null): boolean {
  return limit === null || (Number.isSafeInteger(limit) && limit >= 0);
}

function policyRow(policy: PolicyEntity): PolicyRow {
  return {
    id: policy.id,
    name: policy.name,
    description: policy.description ?? null,
    createdAt: policy.createdAt,
    updatedAt: policy.updatedAt,
    expiresAt: policy.expiresAt ?? null,
    rules: policy.rules.getItems().map((rule) => ({
      id: rule.id,
      method: rule.method,
      kind: rule.kind ?? null,
      maxUsageCount: rule.maxUsageCount ?? null,
      currentUsageCount: rule.currentUsageCount ?? 0,
      maxUsagePerToken: rule.maxUsagePerToken ?? null,
      expiresAt: rule.expiresAt ?? null,
    })),
  };
}
