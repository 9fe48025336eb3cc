import * as z from 'zod/mini';
import type { NewRule } from '../../policy/protocol.ts';
import { RULE_METHODS } from '../../policy/rule-methods.ts';
import { count, date } from './fields.ts';

/** A rule as parameters give it. Its kind is looked at for sign_event only: the web interface leaves one everywhere. */
export const rule = z.pipe(
  z.object(
    {
      method: z.enum(RULE_METHODS, `must be one of ${RULE_METHODS.join(', ')}`),
      kind: z.optional(z.unknown()),
      use_count: z.optional(count),
      use_count_per_token: z.optional(count),
      expires_at: z.optional(date),
    },
    'must be an object {"method", "kind"?, "use_count"?, "use_count_per_token"?, "expires_at"?}',
  ),
  z.transform((rule, context): NewRule => {
    const kind = rule.method === 'sign_event' ? kindText(rule.kind) : null;
    if (kind === undefined) return noKind(context);
    return {
      method: rule.method,
      kind,
      maxUsageCount: rule.use_count ?? null,
      maxUsagePerToken: rule.use_count_per_token ?? null,
      expiresAt: rule.expires_at ?? null,
    };
  }),
);

/** A kind as rules keep it; null for none, undefined for what is no kind. */
export function kindText(kind: unknown): string | null | undefined {
  if (kind === undefined || kind === null || kind === '') return null;
  if (kind === 'all') return 'all';
  const number = typeof kind === 'string' && /^\d{1,5}$/.test(kind) ? Number(kind) : kind;
  return typeof number === 'number' && Number.isInteger(number) && number >= 0 && number <= 65_535
    ? String(number)
    : undefined;
}

/** Says what is wrong with a kind. */
export function noKind(context: { issues: { push(issue: never): unknown } }): never {
  const message = 'must be a number from 0 to 65535, or "all"';
  context.issues.push({ code: 'custom', message, path: ['kind'], input: undefined } as never);
  return z.NEVER;
}

/** The second parameter is a method's name, which others follow, or the whole of it as JSON: `{` tells. */
export function isJsonForm(parameter: unknown): boolean {
  return typeof parameter === 'string' ? parameter.trimStart().startsWith('{') : typeof parameter === 'object';
}
