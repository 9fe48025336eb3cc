import * as z from 'zod/mini';
import type { Pending } from '../approvals.ts';
import { type Decision, scopeKind } from '../decision.ts';
import { json, page } from './fields.ts';
import { method } from './method.ts';
import { done } from './outcomes.ts';
import { iso, rowsAnswer } from './rows.ts';

/** Without a scope: this request and those like it. */
const ALIKE: Decision = { verdict: 'always', label: null, kind: null };

const requestId = z
  .string('must be text: the id in get_requests')
  .check(z.minLength(1, 'is empty'), z.maxLength(256, 'is longer than 256 characters'));

/** What an approval covers: `{}` this request and those like it, `{"kind"}` that kind or "all", `{"once": true}` this one. */
const scope = json(
  z.pipe(
    z.object(
      { kind: z.optional(z.unknown()), once: z.optional(z.boolean('must be true or false')) },
      'must be JSON {"kind"} or {"once": true}',
    ),
    z.transform(({ kind, once }, context): Decision => {
      if (once === true) return { verdict: 'once' };
      const read = scopeKind({ kind });
      if (read !== undefined) return { verdict: 'always', label: null, kind: read };
      const message = 'must be a number from 0 to 65535, or "all"';
      context.issues.push({ code: 'custom', message, path: ['kind'], input: undefined } as never);
      return z.NEVER;
    }),
  ),
);

/** `get_requests` [page?] -> JSON array of what clients ask for and no rule answers, the oldest first. */
export const getRequests = method({
  params: ['page'],
  schema: z.object({ page: z.optional(page) }),
  run: async ({ page }, desk) => rowsAnswer(desk.approvals.list().map(requestRow), page),
});

/** `approve_request` [id, scope?] -> ["ok"]; without a scope this request and those like it, from now on. */
export const approveRequest = method({
  params: ['id', 'scope'],
  schema: z.object({ id: requestId, scope: z.optional(scope) }),
  changes: true,
  touches: () => ['users'],
  target: ({ id, scope }) => `request ${id}: ${scope?.verdict ?? 'always'}`,
  run: async ({ id, scope = ALIKE }, desk, { admin }) => done(await desk.approvals.decide(id, scope, admin)),
});

/** `deny_request` [id] -> ["ok"]; this one only. */
export const denyRequest = method({
  params: ['id'],
  schema: z.object({ id: requestId }),
  changes: true,
  touches: () => ['users'],
  target: ({ id }) => `request ${id}: deny`,
  run: async ({ id }, desk, { admin }) => done(await desk.approvals.decide(id, { verdict: 'deny' }, admin)),
});

function requestRow(pending: Pending & { waiting: boolean }): { full: object; lean: object } {
  const { id, keyName, client, method, kind, param, description, stranger, askedAt, waitsUntil, waiting } = pending;
  const lean = {
    id,
    key: keyName,
    client,
    method,
    kind,
    description,
    stranger,
    waiting,
    created_at: iso(askedAt),
    waits_until: iso(waitsUntil),
  };
  return { full: { ...lean, param }, lean };
}
