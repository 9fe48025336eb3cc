/** Policies as `get_policies` lists them, and finding the one that is meant. */
import { Refusal } from './refusal.ts';
import type { Call } from './remote.ts';

export interface ListedRule {
  method: string;
  kind: string | null;
  max_usage_count: number | null;
  current_usage_count: number;
}

export interface ListedPolicy {
  id: number;
  name: string;
  expires_at: string | null;
  rules: ListedRule[];
}

/** By its name, or by its number when nothing has that name. Several of one name are told apart by number alone. */
export async function findPolicy(call: Call, given: string, byNumber = false): Promise<ListedPolicy> {
  const policies = JSON.parse(await call('get_policies')) as ListedPolicy[];
  const named = byNumber ? [] : policies.filter((policy) => policy.name === given);
  if (named.length > 1) {
    const ids = named.map((policy) => policy.id).join(', ');
    throw new Refusal(`${named.length} policies are named "${given}": give the number of one (${ids})`);
  }
  const found = named[0] ?? policies.find((policy) => String(policy.id) === given);
  if (found === undefined) throw new Refusal(`no policy named "${given}": see "redoubt policy list"`);
  return found;
}
