import * as z from 'zod/mini';
import type { PolicyRow, RuleRow } from '../../policy/protocol.ts';
import type { ListRow } from '../answer.ts';
import { date, json, name, page, text } from './fields.ts';
import { method } from './method.ts';
import { iso, listAnswer } from './rows.ts';
import { rule } from './rule.ts';

const newPolicy = json(
  z.object(
    {
      name,
      description: z.optional(z.nullable(text)),
      expires_at: z.optional(date),
      rules: z.array(rule, 'must be a list of rules').check(z.maxLength(500, 'has more than 500 rules')),
    },
    'must be JSON {"name", "description"?, "expires_at"?, "rules"}',
  ),
);

/** `create_new_policy` [JSON] -> ["ok"], with all of its rules or not at all. */
export const createNewPolicy = method({
  params: ['policy'],
  schema: z.object({ policy: newPolicy }),
  changes: true,
  touches: () => ['policies'],
  target: ({ policy }) => policy.name,
  run: async ({ policy }, desk) => {
    const expiresAt = policy.expires_at ?? null;
    if (
      [expiresAt, ...policy.rules.map((rule) => rule.expiresAt)].some((at) => at !== null && at <= desk.clock.now())
    ) {
      return { ok: false, error: 'Invalid params: expires_at is in the past' };
    }
    const { name, rules } = policy;
    const made = await desk.policy.ask('createPolicy', {
      name,
      description: policy.description ?? null,
      expiresAt,
      rules,
    });
    return made.ok ? { ok: true, result: '["ok"]' } : { ok: false, error: made.refusal };
  },
});

/** `get_policies` [page?] -> JSON array of policies with their rules. */
export const getPolicies = method({
  params: ['page'],
  schema: z.object({ page: z.optional(page) }),
  touches: () => ['policies'],
  run: ({ page = {} }, desk, { longest }) =>
    listAnswer(page, longest, (slice) => desk.policy.ask('pagePolicies', slice), policyRow),
});

function policyRow(policy: PolicyRow, details: boolean): ListRow {
  const common = {
    id: policy.id,
    name: policy.name,
    description: policy.description,
    created_at: iso(policy.createdAt),
    updated_at: iso(policy.updatedAt),
    expires_at: iso(policy.expiresAt),
  };
  const full = { ...common, rules: policy.rules.map((rule) => ({ ...leanRule(rule), ...addedToRule(rule) })) };
  return { full, lean: details ? full : { ...common, rules: policy.rules.map(leanRule) } };
}

function leanRule({ method, kind, maxUsageCount, currentUsageCount }: RuleRow): object {
  return { method, kind, max_usage_count: maxUsageCount, current_usage_count: currentUsageCount };
}

function addedToRule({ id, expiresAt, maxUsagePerToken }: RuleRow): object {
  return { id, expires_at: iso(expiresAt), max_usage_per_token: maxUsagePerToken };
}
