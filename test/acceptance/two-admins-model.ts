/** What two-admins.test.ts has the daemon do, carried out one after the other by the plainest code there can be. */
import type { RpcResponse } from '../support/rpc.ts';

export interface Policy {
  id: number;
  name: string;
  rules: { id: number; method: string; kind: string | null }[];
}

/** What is there before anything is sent. */
export interface Start {
  policies: Policy[];
  /** Ids of tokens that nobody has redeemed. */
  tokens: number[];
  /** Public keys. */
  clients: string[];
}

export interface Command {
  method: string;
  params: unknown[];
  /** It is recorded, and has its place in the order. */
  changes: boolean;
}

/** Commands of every kind on the same few things, the same ones at every run. */
export function draw({ policies, tokens, clients }: Start, count: number): Command[] {
  let seed = 1;
  const below = (limit: number) => {
    seed = (seed * 48_271) % 2_147_483_647;
    return seed % limit;
  };
  const one = <T>(list: T[]): T => list[below(list.length)]!;
  const change = (method: string, ...params: unknown[]): Command => ({ method, params, changes: true });
  const read = (method: string, ...params: unknown[]): Command => ({ method, params, changes: false });
  // Those from the demonstration and of the clients stay as they are.
  const ours = policies.filter(({ name }) => /^policy \d+$/.test(name));
  const makers: (() => Command)[] = [
    ...Array(5).fill(() => change('add_policy_rule', one(ours).id, 'sign_event', below(6))),
    () => change('remove_policy_rule', one(one(ours).rules).id),
    () => change('delete_policy', below(3) === 0 ? one(ours).id : ours[0]!.id),
    ...Array(2).fill(() =>
      change('issue_token', JSON.stringify({ key: 'demo', client_name: 'c', policy_id: one(ours).id })),
    ),
    () => change('revoke_token', one(tokens)),
    ...Array(2).fill(() => change('rename_key_user', one(clients), `name ${below(1e9)}`)),
    () => change('create_new_policy', JSON.stringify({ name: `new ${below(1e9)}`, rules: [{ method: 'ping' }] })),
    () => read('get_policies'),
    () => read('get_key_tokens', 'demo', '{"limit":10}'),
    () => read('get_key_users', 'demo'),
    () => read('get_keys'),
  ];
  return Array.from({ length: count }, () => one(makers)());
}

/** The records, as the commands that were applied have left them. */
export class Model {
  readonly #policies: Map<number, { name: string; rules: Map<number | string, string> }>;
  readonly #removed = new Set<number>();
  readonly #deleted = new Set<number>();
  #made = 0;
  readonly names = new Map<string, string>();
  readonly issued: number[] = [];
  readonly revoked = new Set<number>();

  constructor({ policies }: Start) {
    this.#policies = new Map(
      policies.map(({ id, name, rules }) => [
        id,
        { name, rules: new Map(rules.map((rule) => [rule.id, `${rule.method}:${rule.kind}`])) },
      ]),
    );
  }

  /** Policies and what they grant, as text. New ones have no id in it: who made them is told no number. */
  state(): string {
    return stateText([...this.#policies.values()].map(({ name, rules }) => ({ name, rules: [...rules.values()] })));
  }

  static stateOf(policies: Policy[]): string {
    return stateText(
      policies.map(({ name, rules }) => ({ name, rules: rules.map(({ method, kind }) => `${method}:${kind}`) })),
    );
  }

  /** Null when the answer is the right one at this place in the order, else what is wrong with it. */
  apply({ method, params }: Command, answer: RpcResponse): string | null {
    const right = this.#carryOut(method, params, answer);
    if (right === (answer.error === undefined)) return null;
    return right ? `was refused: ${answer.error}` : 'should have been refused';
  }

  /** Whether it can be done. */
  #carryOut(method: string, params: unknown[], answer: RpcResponse): boolean {
    const id = params[0] as number;
    switch (method) {
      case 'add_policy_rule': {
        const rules = this.#policies.get(id)?.rules;
        const rule = `sign_event:${params[2]}`;
        if (rules !== undefined && ![...rules.values()].includes(rule)) rules.set(`new ${rule}`, rule);
        return rules !== undefined;
      }
      case 'remove_policy_rule': {
        if (this.#removed.has(id)) return false;
        this.#removed.add(id);
        for (const { rules } of this.#policies.values()) rules.delete(id);
        return true;
      }
      case 'delete_policy':
        this.#deleted.add(id);
        this.#policies.delete(id);
        return true;
      case 'create_new_policy':
        this.#policies.set(--this.#made, {
          name: JSON.parse(params[0] as string).name,
          rules: new Map([[0, 'ping:null']]),
        });
        return true;
      case 'issue_token': {
        const there = this.#policies.has(JSON.parse(params[0] as string).policy_id);
        if (there && answer.error === undefined) this.issued.push(JSON.parse(answer.result).id);
        return there;
      }
      case 'revoke_token':
        this.revoked.add(id);
        return true;
      case 'rename_key_user':
        this.names.set(params[0] as string, params[1] as string);
        return true;
      default:
        throw new Error(`the model does not know ${method}`);
    }
  }
}

function stateText(policies: { name: string; rules: string[] }[]): string {
  return policies
    .map(({ name, rules }) => `${name} ${rules.sort().join(' ')}`)
    .sort()
    .join('\n');
}
