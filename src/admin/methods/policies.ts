import * as z from 'zod/mini';
import type { RuleRow } from '../../policy/protocol.ts';
import { date, json, name, page, text } from './fields.ts';
import { method } from './method.ts';
import { iso, rowsAnswer } from './rows.ts';
import { rule } from './rule.ts';

const newPolicy = json(
  z.object(
    {
      name,
      description: z.optional(z.nullable(text)),
      expires_at: z.optional(date),
      rules: z
        .array(rule, 'must be a list of rules')
        .check(z.minLength(1, 'is empty: a policy without rules grants nothing'), z.maxLength(1000, 'is too long')),
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
  run: async ({ page }, desk) => {
    const policies = await desk.policy.ask('listPolicies', null);
    const rows = policies.map((policy) => {
      const { id, name, description } = policy;
      const common = {
        id,
        name,
        description,
        created_at: iso(policy.createdAt),
        updated_at: iso(policy.updatedAt),
        expires_at: iso(policy.expiresAt),
      };
      return {
        full: { ...common, rules: policy.rules.map((rule) => ({ ...leanRule(rule), ...addedToRule(rule) })) },
        lean: { ...common, rules: policy.rules.map(leanRule) },
      };
    });
    return rowsAnswer(rows, page);
  },
});

function leanRule({ method, kind, maxUsageCount, currentUsageCount }: RuleRow): object {
  return { method, kind, max_usage_count: maxUsageCount, current_usage_count: currentUsageCount };
}

function addedToRule({ id, expiresAt, maxUsagePerToken }: RuleRow): object {
  return { id, expires_at: iso(expiresAt), max_usage_per_token: maxUsagePerToken };
}
