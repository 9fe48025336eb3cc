/** Parts of lists as admins are given them, from the database. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Slice } from '../../src/policy/protocol.ts';
import { hex, Rig, said } from './rig.ts';

let rig: Rig;
test.before.each(async () => {
  rig = await Rig.open();
  await rig.makeKey();
});
test.after.each(() => rig.end());

const ids = (rows: readonly { id: number }[]) => rows.map(({ id }) => id);
const slice = (over: Partial<Slice> = {}): Slice => ({ after: 0, offset: 0, limit: 100, ...over });

/** Every way to cut the list: all of it, a part, what is behind a row, and what is behind its end. */
async function isCut(read: (slice: Slice) => Promise<readonly { id: number }[]>, all: number[]): Promise<void> {
  assert.equal(ids(await read(slice())), all);
  assert.equal(ids(await read(slice({ offset: 1, limit: 2 }))), all.slice(1, 3));
  assert.equal(ids(await read(slice({ after: all[0]!, limit: 2 }))), all.slice(1, 3));
  assert.equal(ids(await read(slice({ after: all[0]!, offset: 1 }))), all.slice(2));
  assert.equal(ids(await read(slice({ offset: all.length }))), []);
}

test('keys: without deleted ones, each with the counts of its own', async () => {
  for (const name of ['a', 'b', 'c', 'd']) await rig.makeKey(name);
  await rig.pair(hex('client'), { method: 'sign_event' });
  await rig.token(1);
  await rig.token(1, { keyName: 'c' });
  await rig.admin.ask('deleteKey', { name: 'b' });
  await isCut((part) => rig.admin.ask('pageKeys', part), [1, 2, 4, 5]);
  const keys = await rig.admin.ask('pageKeys', slice());
  assert.equal(
    keys.map(({ name, userCount, tokenCount }) => [name, userCount, tokenCount]),
    [
      ['key', 1, 2],
      ['a', 0, 0],
      ['c', 0, 1],
      ['d', 0, 0],
    ],
  );
  const all = await rig.admin.ask('listKeys', null);
  assert.equal(
    keys,
    all.filter((key) => key.deletedAt === null),
  );
  assert.type((await rig.admin.ask('findKey', { name: 'b' }))!.deletedAt, 'number');
  assert.is(await rig.admin.ask('findKey', { name: 'x' }), null);
});

test('tokens: of one key, without those that were revoked before anybody redeemed them', async () => {
  await rig.makeKey('other');
  const policy = await rig.policy({ method: 'sign_event' });
  const made = [];
  for (let i = 0; i < 5; i++) made.push(await rig.token(policy));
  await rig.token(policy, { keyName: 'other' });
  assert.is(said(await rig.connect(made[1]!.secret)), 'ok');
  for (const { id } of made.slice(1, 3)) await rig.admin.ask('revokeToken', { id });
  const read = (part: Slice) => rig.admin.ask('pageTokens', { keyName: 'key', ...part });
  await isCut(read, [1, 2, 4, 5]);
  const [, redeemed] = await read(slice());
  assert.equal(
    [redeemed!.redeemedBy, redeemed!.policyName, redeemed!.keyPubkey],
    [hex('client'), 'p', hex('pubkey of key')],
  );
  const all = await rig.admin.ask('listTokens', { keyName: 'key' });
  assert.equal(
    await read(slice()),
    all.filter(({ id }) => id !== 3),
  );
});

test('policies: without deleted ones, each with all of its rules', async () => {
  for (let i = 0; i < 5; i++) await rig.policy(...[1, 2, 3].map((kind) => ({ method: 'sign_event', kind: `${kind}` })));
  await rig.admin.ask('deletePolicy', { id: 3 });
  await isCut((part) => rig.admin.ask('pagePolicies', part), [1, 2, 4, 5]);
  const [second] = await rig.admin.ask('pagePolicies', slice({ offset: 1, limit: 1 }));
  assert.equal(
    second!.rules.map(({ kind }) => kind),
    ['1', '2', '3'],
  );
  assert.equal(await rig.admin.ask('pagePolicies', slice()), await rig.admin.ask('listPolicies', null));
  assert.equal(await rig.admin.ask('findPolicies', { name: 'p' }), [1, 2, 4, 5]);
  assert.equal(await rig.admin.ask('findPolicies', { name: 'q' }), []);
});

test('users: of one key', async () => {
  for (const name of ['a', 'b', 'c', 'd']) await rig.pair(hex(name), { method: 'sign_event' });
  await isCut((part) => rig.admin.ask('pageUsers', { keyName: 'key', ...part }), [1, 2, 3, 4]);
});

test('a policy has at most 500 rules, so that it can be shown', async () => {
  const rules = Array.from({ length: 500 }, (_, i) => ({ method: 'sign_event', kind: `${i}` }));
  const policyId = await rig.policy(...rules);
  const rule = { method: 'sign_event', maxUsageCount: null, maxUsagePerToken: null, expiresAt: null };
  const again = await rig.admin.ask('addRule', { policyId, rule: { ...rule, kind: '7' } });
  assert.ok(again.ok, 'one that is there is no other one');
  const more = await rig.admin.ask('addRule', { policyId, rule: { ...rule, kind: '500' } });
  assert.match(more.ok ? '' : more.refusal, /^policy 1 has 500 rules, which is the most/);
  const made = rig.policy(...rules, { method: 'nip44_encrypt' });
  assert.match(await made.then(() => '', String), /a policy has at most 500 rules/);
});

test('a refused request of an admin is recorded in the chain, and its event is not taken for one that was carried out', async () => {
  const event = hex('event');
  const refused = { sender: hex('someone'), event, genuine: true, method: 'revoke_user', reason: 'invalid params' };
  assert.ok((await rig.admin.ask('refused', refused)).ok);
  const { sender, genuine, reason } = refused;
  const { id: _, ...row } = rig.audit().at(-1)!;
  const params = { phase: 'refused', sender, event, genuine, reason };
  assert.equal(row, { type: 'admin', method: 'revoke_user', params, keyUserId: null });
  const begin = { admin: hex('admin'), event, method: 'revoke_user', target: 'user 1', createdAt: 0 };
  assert.ok((await rig.admin.ask('begin', begin)).ok);
  await rig.stop();
  await rig.start();
  assert.not((await rig.admin.ask('begin', begin)).ok);
});

test.run();
