/**
 * The rules that can end a request, by the names that code, tests, logs and docs/POLICY.md share. Those of a
 * decision are in the order in which they are asked.
 */
export const RULES = [
  // A decision.
  'key-deleted',
  'no-binding',
  'revoked',
  'kind-24133-never',
  'decrypt-peer',
  'denied-entirely',
  'denied-by-condition',
  'bound-method',
  'allowed-by-condition',
  'granted',
  'granted-counted',
  'usage-limit',
  'dead-grant',
  'nothing-answers',
  // A connect.
  'token-redeem',
  'token-reuse',
  'token-revoked',
  'token-expired',
  'token-unknown',
  'reconnect',
  'stranger',
  // Any request.
  'replay',
  'deadline',
  'audit-first',
] as const;

export type RuleName = (typeof RULES)[number];
