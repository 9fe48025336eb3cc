import * as z from 'zod/mini';
import type { NewCondition } from '../../policy/protocol.ts';
import { RULE_METHODS } from '../../policy/rule-methods.ts';
import { date, id, json, yes } from './fields.ts';
import { method } from './method.ts';
import { done } from './outcomes.ts';
import { isJsonForm, kindText, noKind } from './rule.ts';

const METHODS = [...RULE_METHODS, '*'] as const;

/** Without a kind one for sign_event is for `all`: stored without, it would match nothing (docs/POLICY.md). */
const condition = z.pipe(
  z.object(
    {
      method: z.enum(METHODS, `must be one of ${METHODS.join(', ')}`),
      kind: z.optional(z.unknown()),
      allowed: z.optional(yes),
      expires_at: z.optional(date),
    },
    'must be an object {"method", "kind"?, "allowed"?, "expires_at"?}',
  ),
  z.transform(({ method, kind: given, allowed = true, expires_at }, context): NewCondition => {
    const kind = method === 'sign_event' ? kindText(given) : null;
    if (kind === undefined) return noKind(context);
    return { method, kind: method === 'sign_event' ? (kind ?? 'all') : null, allowed, expiresAt: expires_at ?? null };
  }),
);

const wholeCondition = z.pipe(
  z.transform((given: { [name: string]: unknown }) => {
    const { keyUserId, condition, kind, allowed } = given;
    if (condition === undefined || isJsonForm(condition)) return { keyUserId, condition };
    return { keyUserId, condition: { method: condition, kind, allowed } };
  }),
  z.object({ keyUserId: id, condition: json(condition) }),
);

/** `add_signing_condition` [keyUserId, method, kind?, allowed?] or [keyUserId, JSON condition] -> ["ok"] */
export const addSigningCondition = method({
  params: ['keyUserId', 'condition', 'kind', 'allowed'],
  schema: wholeCondition,
  changes: true,
  touches: () => ['users'],
  target: ({ keyUserId, condition: { method, kind, allowed } }) =>
    `user ${keyUserId}: ${allowed ? 'allow' : 'deny'} ${method}${kind === null ? '' : `:${kind}`}`,
  run: async ({ keyUserId, condition }, desk) => {
    if (condition.method === '*' && condition.allowed) {
      return { ok: false, error: 'Invalid params: condition.method * can only be denied: allow methods one by one' };
    }
    if (condition.expiresAt !== null && condition.expiresAt <= desk.clock.now()) {
      return { ok: false, error: 'Invalid params: condition.expires_at is in the past' };
    }
    return done(await desk.policy.ask('addCondition', { keyUserId, condition }));
  },
});

/** `remove_signing_condition` [conditionId] -> ["ok"] */
export const removeSigningCondition = method({
  params: ['conditionId'],
  schema: z.object({ conditionId: id }),
  changes: true,
  touches: () => ['users'],
  target: ({ conditionId }) => `signing condition ${conditionId}`,
  run: async ({ conditionId }, desk) => done(await desk.policy.ask('removeCondition', { id: conditionId })),
});
