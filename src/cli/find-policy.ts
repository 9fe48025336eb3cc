import { callList } from './listed.ts';
import { Refusal } from './refusal.ts';
import type { Call } from './remote.ts';

/** A rule as `get_policies` lists it. */
export interface ListedRule {
  /** Left out of a policy that is too long with it. */
  id?: number;
  method: string;
  kind: string | null;
  max_usage_count: number | null;
  current_usage_count: number;
  max_usage_per_token?: number | null;
  expires_at?: string | null;
}

export interface ListedPolicy {
  id: number;
  name: string;
  expires_at: string | null;
  rules: ListedRule[];
}

export function readPolicies(call: Call): Promise<ListedPolicy[]> {
  return callList<ListedPolicy>(call, 'get_policies', { details: true });
}

/** By its name, or by its number when nothing has that name. Several of one name are told apart by number alone. */
export async function findPolicy(call: Call, given: string, byNumber = false): Promise<ListedPolicy> {
  const policies = await readPolicies(call);
  const named = byNumber ? [] : policies.filter((policy) => policy.name === given);
  if (named.length > 1) {
    const ids = named.map((policy) => policy.id).join(', ');
    throw new Refusal(`${named.length} policies are named "${given}": give the number of one (${ids})`);
  }
  const found = named[0] ?? policies.find((policy) => String(policy.id) === given);
  if (found === undefined) throw new Refusal(`no policy named "${given}": see "redoubt policy list"`);
  return found;
}
