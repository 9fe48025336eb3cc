import type { BoundMethod, GrantedMethod, Refusal } from './protocol.ts';
import type { Binding, Condition, KeyRecord, PolicyRecord, RuleRecord, TokenRecord } from './records.ts';
import type { RuleName } from './rules.ts';

export interface Question {
  readonly client: string;
  readonly method: GrantedMethod | BoundMethod | 'connect';
  /** Of the event to be signed. */
  readonly kind: number | null;
  /** The other side of a cipher. */
  readonly peer: string | null;
  /** Carried out and counted before: a limit that it has used up itself does not stop it. */
  readonly counted: boolean;
}

/** What is known about the key and the client that ask. */
export interface Standing {
  readonly key: KeyRecord;
  readonly binding: Binding | null;
}

export interface Surroundings {
  /** ms since the epoch */
  readonly now: number;
  /** Kinds that `all` does not include. */
  readonly kindsNotInAll: ReadonlySet<number>;
  /** Pubkeys that nobody may decrypt from: admins and daemon keys. */
  readonly reserved: ReadonlySet<string>;
  /** Whether a client was ever bound to the key that is asked. */
  everBound(client: string): boolean;
  policy(id: number): PolicyRecord | null;
  /** Whether a date has passed; what was once seen as expired stays so when the clock is set back. */
  expired(record: string, expiresAt: number | null): boolean;
}

/** A use that has to be counted. */
export interface Charge {
  readonly rule: RuleRecord;
  readonly token: TokenRecord;
}

export type Verdict =
  | { readonly ok: true; readonly rule: RuleName; readonly grant: string; readonly charge: Charge | null }
  | { readonly ok: false; readonly rule: RuleName; readonly refusal: Refusal };

/** NIP-46's own transport and the admin RPC's. */
const NIP46_KIND = 24133;
const ADMIN_KIND = 24134;

/** Who may do what: docs/POLICY.md, in its order; the first rule that answers wins. */
export function decide(question: Question, standing: Standing, around: Surroundings): Verdict {
  const { binding } = standing;
  if (standing.key.deletedAt !== null) return deny('key-deleted', 'not authorized');
  if (binding === null) return deny('no-binding', 'no binding');
  if (binding.revokedAt !== null) return deny('revoked', 'revoked');
  if (question.method === 'sign_event' && question.kind === NIP46_KIND)
    return deny('kind-24133-never', 'not authorized');
  if (!mayDecryptFrom(question, around)) return deny('decrypt-peer', 'not authorized');

  const conditions = binding.conditions.filter((c) => !around.expired(`condition:${c.id}`, c.expiresAt));
  const entirely = conditions.some((c) => !c.allowed && (c.method === null || c.method === '*'));
  if (entirely) return deny('denied-entirely', 'not authorized');
  const matching = conditions.filter((c) => conditionMatches(c, question));
  if (matching.some((c) => !c.allowed)) return deny('denied-by-condition', 'not authorized');
  if (isBoundMethod(question.method)) return allow('bound-method', 'binding');
  const override = matching.find((c) => c.allowed && (c.kind !== 'all' || inAll(question, around)));
  if (override !== undefined) return allow('allowed-by-condition', `condition:${override.id}`);
  return decideByTokens(question, binding, around);
}

/** docs/POLICY.md 5 to 8. */
function decideByTokens(question: Question, binding: Binding, around: Surroundings): Verdict {
  let counted: Charge | null = null;
  let exhausted = false;
  let dead: Refusal | null = null;
  for (const token of binding.tokens) {
    const policy = token.policyId === null ? null : around.policy(token.policyId);
    if (policy === null) continue;
    const death = whyDead(token, policy, around);
    for (const rule of policy.rules) {
      if (!ruleMatches(rule, question, around)) continue;
      if (around.expired(`rule:${rule.id}`, rule.expiresAt)) continue;
      if (death !== null) {
        dead ??= death;
        continue;
      }
      if (rule.maxUsageCount === null && rule.maxUsagePerToken === null) return allow('granted', `rule:${rule.id}`);
      if (question.counted || hasUsesLeft(rule, token)) counted ??= { rule, token };
      else exhausted = true;
    }
  }
  if (counted !== null) {
    const charge = question.counted ? null : counted;
    return { ok: true, rule: 'granted-counted', grant: `rule:${counted.rule.id}`, charge };
  }
  if (exhausted) return deny('usage-limit', 'usage limit reached');
  if (dead !== null) return deny('dead-grant', dead);
  return deny('nothing-answers', 'not authorized');
}

function allow(rule: RuleName, grant: string): Verdict {
  return { ok: true, rule, grant, charge: null };
}

function deny(rule: RuleName, refusal: Refusal): Verdict {
  return { ok: false, rule, refusal };
}

function isBoundMethod(method: Question['method']): boolean {
  switch (method) {
    case 'connect':
    case 'get_public_key':
    case 'ping':
    case 'switch_relays':
    case 'get_relays':
      return true;
    case 'sign_event':
    case 'nip44_encrypt':
    case 'nip44_decrypt':
    case 'nip04_encrypt':
    case 'nip04_decrypt':
      return false;
    default:
      return method satisfies never;
  }
}

/** The remote-signer key reads its clients' requests: no client may read another's, or an admin's, through it. */
function mayDecryptFrom(question: Question, around: Surroundings): boolean {
  if (question.method !== 'nip44_decrypt' && question.method !== 'nip04_decrypt') return true;
  const peer = question.peer?.toLowerCase();
  if (peer === undefined) return false;
  if (around.reserved.has(peer)) return false;
  return peer === question.client || !around.everBound(peer);
}

/** nsecbunkerd's `encrypt` and `decrypt` stand for both ciphers' methods. */
function methodMatches(stored: string, method: Question['method']): boolean {
  if (stored === method) return true;
  if (stored === 'encrypt') return method === 'nip44_encrypt' || method === 'nip04_encrypt';
  if (stored === 'decrypt') return method === 'nip44_decrypt' || method === 'nip04_decrypt';
  return false;
}

/** As in nsecbunkerd, a condition for sign_event without a kind matches nothing. */
function conditionMatches(condition: Condition, question: Question): boolean {
  if (condition.method === null || !methodMatches(condition.method, question.method)) return false;
  if (question.method !== 'sign_event') return true;
  return condition.kind === 'all' || condition.kind === String(question.kind);
}

function ruleMatches(rule: RuleRecord, question: Question, around: Surroundings): boolean {
  if (!methodMatches(rule.method, question.method)) return false;
  if (question.method !== 'sign_event') return true;
  if (rule.kind === null || rule.kind === 'all') return inAll(question, around);
  return rule.kind === String(question.kind);
}

/** Whether `all` includes what is asked: some kinds need a rule that names them. */
function inAll(question: Question, around: Surroundings): boolean {
  if (question.method !== 'sign_event') return true;
  if (question.kind === null || question.kind === ADMIN_KIND) return false;
  return !around.kindsNotInAll.has(question.kind);
}

function whyDead(token: TokenRecord, policy: PolicyRecord, around: Surroundings): Refusal | null {
  if (token.deletedAt !== null) return 'token revoked';
  if (around.expired(`token:${token.id}`, token.expiresAt)) return 'token expired';
  if (policy.deletedAt !== null || around.expired(`policy:${policy.id}`, policy.expiresAt)) return 'policy expired';
  return null;
}

function hasUsesLeft(rule: RuleRecord, token: TokenRecord): boolean {
  if (rule.maxUsageCount !== null && rule.used >= rule.maxUsageCount) return false;
  return rule.maxUsagePerToken === null || (token.used.get(rule.id) ?? 0) < rule.maxUsagePerToken;
}
