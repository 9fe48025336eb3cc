import * as z from 'zod/mini';
import { id, json } from './fields.ts';
import { method } from './method.ts';
import { done } from './outcomes.ts';
import { isJsonForm, rule } from './rule.ts';

const wholeRule = z.pipe(
  z.transform((given: { [name: string]: unknown }) => {
    const { policyId, rule, kind, use_count } = given;
    if (rule === undefined || isJsonForm(rule)) return { policyId, rule };
    return { policyId, rule: { method: rule, kind, use_count } };
  }),
  z.object({ policyId: id, rule: json(rule) }),
);

/** `add_policy_rule` [policyId, method, kind?, use_count?] or [policyId, JSON rule] -> ["ok"] */
export const addPolicyRule = method({
  params: ['policyId', 'rule', 'kind', 'use_count'],
  schema: wholeRule,
  changes: true,
  touches: () => ['policies'],
  target: ({ policyId, rule }) => `policy ${policyId}: ${rule.method}${rule.kind === null ? '' : `:${rule.kind}`}`,
  run: async ({ policyId, rule }, desk) => {
    if (rule.expiresAt !== null && rule.expiresAt <= desk.clock.now()) {
      return { ok: false, error: 'Invalid params: rule.expires_at is in the past' };
    }
    return done(await desk.policy.ask('addRule', { policyId, rule }));
  },
});

/** `remove_policy_rule` [ruleId] -> ["ok"] */
export const removePolicyRule = method({
  params: ['ruleId'],
  schema: z.object({ ruleId: id }),
  changes: true,
  touches: () => ['policies'],
  target: ({ ruleId }) => `rule ${ruleId}`,
  run: async ({ ruleId }, desk) => done(await desk.policy.ask('removeRule', { id: ruleId })),
});

/** `delete_policy` [policyId] -> ["ok"]; its tokens grant nothing any more. */
export const deletePolicy = method({
  params: ['policyId'],
  schema: z.object({ policyId: id }),
  changes: true,
  touches: () => ['policies'],
  target: ({ policyId }) => `policy ${policyId}`,
  run: async ({ policyId }, desk) => done(await desk.policy.ask('deletePolicy', { id: policyId })),
});
