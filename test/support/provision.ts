/** What an operator does over the admin RPC before a client can sign. */
import type { RpcClient } from './rpc.ts';

interface Rule {
  method: string;
  kind?: number | string;
  use_count?: number;
}

export async function createPolicy(admin: RpcClient, name: string, rules: Rule[]): Promise<number> {
  await admin.result('create_new_policy', [JSON.stringify({ name, rules })]);
  const policies = JSON.parse(await admin.result('get_policies')) as { id: number; name: string }[];
  const found = policies.filter((policy) => policy.name === name).at(-1);
  if (found === undefined) throw new Error(`policy ${name} is not listed`);
  return found.id;
}

export interface IssuedToken {
  id: number;
  token: string;
  bunker_url: string;
}

export async function issueToken(admin: RpcClient, key: string, policyId: number): Promise<IssuedToken> {
  const params = { key, client_name: 'test', policy_id: policyId };
  return JSON.parse(await admin.result('issue_token', [JSON.stringify(params)])) as IssuedToken;
}
