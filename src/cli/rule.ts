import { nearest } from '../config/nearest.ts';
import { RULE_METHODS } from '../policy/rule-methods.ts';
import { EXIT, Refusal } from './refusal.ts';

/** A rule as `create_new_policy` takes it. */
export interface RuleParam {
  method: string;
  kind?: string;
  use_count?: number;
}

/**
 * `METHOD[:KIND][=COUNT]`: `sign_event:1`, `sign_event:all=100`, `nip44_encrypt`.
 *
 * @param what it was given as, for the refusal
 */
export function parseRule(text: string, what = '--rule'): RuleParam {
  const usage = (problem: string) => new Refusal(`${what} ${JSON.stringify(text)} ${problem}`, EXIT.usage);
  const [, method = '', kind, count] = /^([a-z0-9_]+)(?::([^=]*))?(?:=(.*))?$/.exec(text) ?? [];
  if (method === '') throw usage('is no METHOD[:KIND][=COUNT], for example sign_event:1=100');
  if (!(RULE_METHODS as readonly string[]).includes(method)) {
    throw usage(`names no method of NIP-46; the nearest is ${nearest(method, RULE_METHODS)}`);
  }
  if (kind !== undefined && method !== 'sign_event') throw usage('has a kind, which only sign_event takes');
  if (kind !== undefined && kind !== 'all' && !(/^\d{1,5}$/.test(kind) && Number(kind) <= 65_535)) {
    throw usage('has a kind that is neither a number from 0 to 65535 nor "all"');
  }
  if (count !== undefined && !/^[1-9]\d{0,14}$/.test(count)) {
    throw usage('has a count that is no whole number of at least 1');
  }
  return {
    method,
    ...(kind === undefined ? {} : { kind }),
    ...(count === undefined ? {} : { use_count: Number(count) }),
  };
}
