/** What changes the records of a key: an admin's command, or another program that writes to the file. */
import * as assert from 'uvu/assert';
import { writeApproval } from '../../src/policy/commands/approvals.ts';
import { addCondition, removeCondition } from '../../src/policy/commands/conditions.ts';
import { createKey, deleteKey } from '../../src/policy/commands/keys.ts';
import { deletePolicy } from '../../src/policy/commands/policies.ts';
import { purgeKey } from '../../src/policy/commands/purge.ts';
import { addRule, removeRule } from '../../src/policy/commands/rules.ts';
import { revokeToken } from '../../src/policy/commands/tokens.ts';
import { renameUser, revokeUser } from '../../src/policy/commands/users.ts';
import type { Desk } from '../../src/policy/desk.ts';
import type { Approval, Outcome } from '../../src/policy/protocol.ts';
import type { Store } from '../../src/store/open.ts';
import { hex } from '../policy/rig.ts';
import { CLIENTS, type Step } from './policy-actions.ts';
import type { Sequence } from './policy-sequence.ts';

type Of<D extends Step['do']> = Extract<Step, { do: D }>;
export type Change = Exclude<
  Step,
  { do: 'batch' | 'pair' | 'token' | 'advance' | 'setClock' | 'sleep' | 'restart' | 'pass' }
>;

export async function changeRecords(sequence: Sequence, step: Change): Promise<void> {
  switch (step.do) {
    case 'condition':
      return condition(sequence, step);
    case 'removeCondition':
      return endCondition(sequence, step);
    case 'approval':
      return approval(sequence, step);
    case 'addRule':
      return newRule(sequence, step);
    case 'deleteRule':
      return endRule(sequence, step);
    case 'revokeUser':
    case 'rename':
      return user(sequence, step);
    case 'revokeToken':
      return endToken(sequence, step);
    case 'deletePolicy':
    case 'reset':
      return policy(sequence, step);
    case 'deleteKey':
    case 'purgeKey':
      return key(sequence, step);
    default:
      step satisfies never;
  }
}

/** As the actor does it for an admin. @returns whether it was done */
async function command(
  { house }: Sequence,
  work: (store: Store, desk: Desk) => Promise<Outcome<unknown>>,
): Promise<boolean> {
  const { engine } = house;
  return (await engine.change(() => work(engine.store, engine.desk))).ok;
}

const at = <T>(list: readonly T[], index: number): T | undefined => list[index % list.length];

function userId({ house, keyName }: Sequence, client: string): number {
  return house.get('SELECT id FROM "KeyUser" WHERE keyName = ? AND userPubkey = ?', keyName, client) as number;
}

async function condition(sequence: Sequence, step: Of<'condition'>): Promise<void> {
  const { naive, house } = sequence;
  const { client, method, kind, allowed } = step;
  if (!naive.users.has(client)) return;
  const expiresAt = step.lasts === null ? null : house.clock.now() + step.lasts;
  const keyUserId = userId(sequence, client);
  if (step.by === 'admin' && method !== null) {
    const wanted = { keyUserId, condition: { method, kind, allowed, expiresAt } };
    const done = await command(sequence, (store, desk) => addCondition(store, desk, wanted));
    assert.is(done, !(method === '*' && allowed));
    const stored = method === 'sign_event' ? (kind ?? 'all') : null;
    if (done) addOnce(sequence, { client, method, kind: stored, allowed, expiresAt });
    return;
  }
  const insert = 'INSERT INTO "SigningCondition" (method, kind, allowed, expiresAt, keyUserId) VALUES (?, ?, ?, ?, ?)';
  const id = house.run(insert, method, kind, allowed ? 1 : 0, expiresAt, keyUserId);
  naive.conditions.push({ id, client, method, kind, allowed, expiresAt });
}

/** The same one, word for word, is not there twice. */
function addOnce(
  { naive, house }: Sequence,
  one: { client: string; method: string; kind: string | null; allowed: boolean; expiresAt: number | null },
): void {
  const same = (other: object) =>
    Object.entries(one).every(([name, value]) => (other as typeof one)[name as 'client'] === value);
  if (naive.conditions.some(same)) return;
  const id = house.get('SELECT max(id) FROM "SigningCondition"') as number;
  naive.conditions.push({ id, ...one });
}

async function endCondition(sequence: Sequence, step: { by: string; at: number }): Promise<void> {
  const { naive, house } = sequence;
  const one = at(naive.conditions, step.at);
  if (one === undefined) return;
  naive.conditions.splice(naive.conditions.indexOf(one), 1);
  if (step.by === 'file') house.run('DELETE FROM "SigningCondition" WHERE id = ?', one.id);
  else assert.ok(await command(sequence, (store, desk) => removeCondition(store, desk, one.id)));
}

async function approval(sequence: Sequence, step: Of<'approval'>): Promise<void> {
  const { naive, keyName } = sequence;
  const { client, allowed } = step;
  const method = step.method as Approval['method'];
  const kind = method === 'sign_event' ? step.kind : null;
  const wanted: Approval = { keyName, client, method, kind, allowed, label: null };
  const done = await command(sequence, (store, desk) => writeApproval(store, desk, wanted));
  const held = naive.users.get(client);
  const possible = !naive.keyDeleted && (held === undefined ? method === 'connect' : !held.revoked);
  assert.is(done, possible);
  if (!done) return;
  if (held === undefined) naive.users.set(client, { revoked: false });
  const never = method === 'connect' && !allowed;
  addOnce(sequence, { client, method: never ? '*' : method, kind, allowed, expiresAt: null });
}

async function newRule(sequence: Sequence, step: Of<'addRule'>): Promise<void> {
  const { naive, house } = sequence;
  const policy = at(naive.policies, step.at);
  if (policy === undefined) return;
  const { method, max, perToken, lasts } = step.rule;
  const expiresAt = lasts === null ? null : house.clock.now() + lasts;
  const kind = method === 'sign_event' || step.by === 'file' ? step.rule.kind : null;
  const made = { method, kind, max, perToken, expiresAt };
  const columns = 'method, kind, maxUsageCount, maxUsagePerToken, expiresAt, policyId';
  if (step.by === 'file') {
    const insert = `INSERT INTO "PolicyRule" (${columns}) VALUES (?, ?, ?, ?, ?, ?)`;
    const id = house.run(insert, method, kind, max, perToken, expiresAt, policy.id);
    policy.rules.push({ id, ...made, used: 0 });
    return;
  }
  const rule = { method, kind, maxUsageCount: max, maxUsagePerToken: perToken, expiresAt };
  const done = await command(sequence, (store, desk) => addRule(store, desk, { policyId: policy.id, rule }));
  assert.is(done, !policy.deleted);
  const same = (other: object) =>
    Object.entries(made).every(([name, value]) => (other as typeof made)[name as 'kind'] === value);
  if (!done || policy.rules.some(same)) return;
  policy.rules.push({ id: house.get('SELECT max(id) FROM "PolicyRule"') as number, ...made, used: 0 });
}

async function endRule(sequence: Sequence, step: { by: string; at: number }): Promise<void> {
  const { naive, house } = sequence;
  const gone = at(naive.policies, step.at)?.rules.pop();
  if (gone === undefined) return;
  if (step.by === 'file') return void house.run('DELETE FROM "PolicyRule" WHERE id = ?', gone.id);
  assert.ok(await command(sequence, (store, desk) => removeRule(store, desk, gone.id)));
  for (const { used } of naive.tokens) used.delete(gone.id);
}

async function user(sequence: Sequence, step: { do: string; by: string; at: number }): Promise<void> {
  const { naive, house, keyName } = sequence;
  const client = at(CLIENTS, step.at) as string;
  const held = naive.users.get(client);
  if (held === undefined) return;
  const id = userId(sequence, client);
  if (step.do === 'rename') {
    const wanted = { pubkey: client, name: 'a lamp', keyName };
    assert.ok(await command(sequence, (store, desk) => renameUser(store, desk, wanted)));
    return;
  }
  held.revoked = true;
  if (step.by === 'file')
    return void house.run('UPDATE "KeyUser" SET revokedAt = ? WHERE id = ?', house.clock.now(), id);
  naive.endGrants(client);
  assert.ok(await command(sequence, (store, desk) => revokeUser(store, desk, id)));
}

async function endToken(sequence: Sequence, step: { by: string; at: number }): Promise<void> {
  const { naive, house } = sequence;
  const token = at(naive.tokens, step.at);
  if (token === undefined) return;
  token.deleted = true;
  if (step.by === 'file') {
    return void house.run('UPDATE "Token" SET deletedAt = ? WHERE id = ?', house.clock.now(), token.id);
  }
  const done = await command(sequence, async (store, { clock, index }) => {
    const { outcome, touched } = await revokeToken(store, clock, token.id);
    if (touched !== null) index.forgetBinding(touched.keyName, touched.client);
    return outcome;
  });
  assert.ok(done);
}

async function policy(sequence: Sequence, step: { do: string; by?: string; at: number }): Promise<void> {
  const { naive, house } = sequence;
  const one = at(naive.policies, step.at);
  if (one === undefined) return;
  if (step.do === 'reset') {
    for (const rule of one.rules) rule.used = 0;
    return void house.run('UPDATE "PolicyRule" SET currentUsageCount = 0 WHERE policyId = ?', one.id);
  }
  one.deleted = true;
  if (step.by === 'file') {
    return void house.run('UPDATE "Policy" SET deletedAt = ? WHERE id = ?', house.clock.now(), one.id);
  }
  assert.ok(await command(sequence, (store, desk) => deletePolicy(store, desk, one.id)));
}

async function key(sequence: Sequence, step: { do: 'deleteKey' | 'purgeKey'; by: string }): Promise<void> {
  const { naive, house, keyName } = sequence;
  if (step.do === 'deleteKey') {
    naive.keyDeleted = true;
    if (step.by === 'file') {
      return void house.run('UPDATE "Key" SET deletedAt = ? WHERE keyName = ?', house.clock.now(), keyName);
    }
    assert.ok(await command(sequence, (store, desk) => deleteKey(store, desk, keyName)));
    return;
  }
  assert.is(await command(sequence, (store, desk) => purgeKey(store, desk, keyName)), naive.keyDeleted);
  if (!naive.keyDeleted) return;
  // The name is free again, and who has it inherits nothing.
  naive.keyDeleted = false;
  naive.users.clear();
  naive.tokens.length = 0;
  naive.conditions.length = 0;
  const named = { name: keyName, pubkey: hex(keyName) };
  const made = command(sequence, async (store, desk) => {
    const outcome = await createKey(store, desk, named);
    desk.index.forgetKey(keyName);
    return outcome;
  });
  assert.ok(await made);
}
