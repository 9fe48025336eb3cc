import type { NewRule } from '../protocol.ts';
import { RULE_METHODS } from '../rule-methods.ts';

const LAST_KIND = 65_535;
/** A policy that has more would not fit into an answer to an admin. */
export const MOST_RULES = 500;

export type CheckedRule = { ok: true; rule: NewRule } | { ok: false; refusal: string };

/** A rule as it may be stored. */
export function checkRule(rule: NewRule, now: number): CheckedRule {
  const refuse = (refusal: string): CheckedRule => ({ ok: false, refusal });
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

/** A kind as rules and conditions keep it. */
export function isKind(text: string): boolean {
  return /^(0|[1-9]\d{0,4})$/.test(text) && Number(text) <= LAST_KIND;
}

function isLimit(limit: number | null): boolean {
  return limit === null || (Number.isSafeInteger(limit) && limit >= 0);
}
