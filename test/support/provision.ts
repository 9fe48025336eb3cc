/** What an operator does over the admin RPC before a client can sign. */
import { generateSecretKey } from 'nostr-tools';
import type { Quickstart, TestDaemon } from './daemon.ts';
import { openAdmin, parseBunkerUrl, RpcClient } from './rpc.ts';

/** The admin that the quickstart has made, on the embedded relay. */
export function adminOf(daemon: TestDaemon): Promise<RpcClient> {
  const { daemon_pubkey, relay } = daemon.quickstart;
  return openAdmin(daemon.adminSecretKey(), daemon_pubkey, relay);
}

export interface Rule {
  method: string;
  kind?: number | string;
  use_count?: number;
  use_count_per_token?: number;
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

export interface Paired {
  client: RpcClient;
  policy: number;
  token: IssuedToken;
  /** Of the token. */
  secret: string;
}

/** A client of its own, connected to a key under a policy of its own with these rules. */
export async function pair(admin: RpcClient, { relay }: Quickstart, rules: Rule[], key = 'demo'): Promise<Paired> {
  const policy = await createPolicy(admin, `policy ${crypto.randomUUID()}`, rules);
  const token = await issueToken(admin, key, policy);
  const { pubkey, secret } = parseBunkerUrl(token.bunker_url);
  const client = await new RpcClient(generateSecretKey(), pubkey).open(relay);
  await client.result('connect', [pubkey, secret]);
  return { client, policy, token, secret };
}
