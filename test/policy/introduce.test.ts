import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Introduced, Introduction } from '../../src/policy/introduced.ts';
import { fresh, hex, Rig, said } from './rig.ts';

const client = hex('client');

async function rigged(): Promise<{ rig: Rig; policyId: number }> {
  const rig = await Rig.open();
  await rig.makeKey();
  return { rig, policyId: await rig.policy({ method: 'sign_event', kind: '1' }) };
}

const introduced = (policyId: number, over: Partial<Introduced> = {}): Introduced => ({
  keyName: 'key',
  client,
  relays: ['wss://a.example'],
  label: 'an app',
  policyId,
  createdBy: hex('admin'),
  askedAt: Date.now() + 1,
  ...over,
});

async function introduce(rig: Rig, policyId: number, over: Partial<Introduced> = {}): Promise<Introduction> {
  const outcome = await rig.admin.ask('introduceClient', introduced(policyId, over));
  if (!outcome.ok) throw new Error(outcome.refusal);
  return outcome.value;
}
const tokens = (rig: Rig) => rig.admin.ask('listTokens', { keyName: 'key' });
const users = (rig: Rig) => rig.admin.ask('pageUsers', { keyName: 'key', after: 0, offset: 0, limit: 100 });
const kept = (rig: Rig) => rig.main.ask('clientRelays', null);

test('token, binding, relays and audit row are one transaction; its grants are evaluated like any other', async () => {
  const { rig, policyId } = await rigged();
  rig.sql(`CREATE TRIGGER broken BEFORE INSERT ON "Log" BEGIN SELECT RAISE(ABORT, 'broken'); END`);
  await rig.admin.ask('introduceClient', introduced(policyId)).then(
    (outcome) => assert.not.ok(outcome.ok),
    () => {},
  );
  assert.equal([await tokens(rig), await users(rig), await kept(rig)], [[], [], []]);
  rig.sql('DROP TRIGGER broken');

  const { tokenId } = await introduce(rig, policyId);
  assert.is(said(await rig.decide({ client })), 'ok');
  assert.is(said(await rig.decide({ client, kind: 4 })), 'not authorized');
  const [token] = await tokens(rig);
  assert.equal([token?.id, token?.clientName, token?.redeemedBy], [tokenId, 'an app', client]);
  assert.match(token!.secret, /^[0-9a-f]{64}$/);
  const [user] = await users(rig);
  assert.equal([user?.pubkey, user?.description, user?.revokedAt], [client, 'an app', null]);
  assert.equal(await kept(rig), [{ keyName: 'key', relays: ['wss://a.example'] }]);
  assert.equal([rig.bound, rig.relaysChanged > 0], [[`key ${client}`], true]);
  const [row] = rig.audit();
  assert.equal([row?.type, row?.method, row?.params.grant], ['connect', 'connect_client', `token:${tokenId}`]);
  await rig.admin.ask('revokeToken', { id: tokenId! });
  assert.is(said(await rig.decide({ client })), 'token revoked');
  await rig.end();
});

test('introducing a client again makes no second token, and knows its new relays', async () => {
  const { rig, policyId } = await rigged();
  await introduce(rig, policyId);
  const again = await introduce(rig, policyId, { relays: ['wss://b.example'], label: 'renamed' });
  assert.equal([again.tokenId, again.wasBound], [null, true]);
  assert.is((await tokens(rig)).length, 1);
  assert.equal(await kept(rig), [{ keyName: 'key', relays: ['wss://b.example'] }]);
  assert.is((await users(rig))[0]?.description, 'an app', 'its label is what it was');
  // Another policy is another grant.
  const other = await rig.policy({ method: 'sign_event', kind: '4' });
  assert.is((await introduce(rig, other)).wasBound, true);
  assert.is((await tokens(rig)).length, 2);
  assert.is(said(await rig.decide({ client, kind: 4 })), 'ok');
  await rig.end();
});

test('what it cannot be told is taken back: the stranger is refused, who was bound before stays so', async () => {
  const { rig, policyId } = await rigged();
  await rig.admin.ask('forgetClient', await introduce(rig, policyId));
  assert.is(said(await rig.decide({ client })), 'revoked');
  assert.equal(await kept(rig), []);
  // The next try with the same URI is a new one.
  await introduce(rig, policyId);
  assert.is(said(await rig.decide({ client })), 'ok');
  const more = await rig.policy({ method: 'nip44_encrypt' });
  const second = await introduce(rig, more, { relays: ['wss://b.example'] });
  assert.is(said(await rig.decide({ client, method: 'nip44_encrypt', kind: null })), 'ok');
  await rig.admin.ask('forgetClient', second);
  assert.is(said(await rig.decide({ client })), 'ok');
  assert.is(said(await rig.decide({ client, method: 'nip44_encrypt', kind: null })), 'token revoked');
  assert.equal(await kept(rig), [{ keyName: 'key', relays: ['wss://a.example'] }]);
  await rig.end();
});

test('who was revoked since it was asked for is not introduced', async () => {
  const { rig, policyId } = await rigged();
  const { keyUserId } = await introduce(rig, policyId);
  const askedAt = Date.now();
  await rig.admin.ask('revokeUser', { id: keyUserId });
  const outcome = await rig.admin.ask('introduceClient', introduced(policyId, { askedAt }));
  assert.match(outcome.ok ? 'ok' : outcome.refusal, 'the client was revoked after this request was made');
  assert.is(said(await rig.decide({ client })), 'revoked');
  assert.is((await tokens(rig)).length, 1);
  // Asked for after the revocation, it is meant to come back.
  await introduce(rig, policyId, { askedAt: (await users(rig))[0]!.revokedAt! + 1 });
  assert.is(said(await rig.decide({ client })), 'ok');
  await rig.end();
});

test('no such key, no such policy, deleted or expired ones', async () => {
  const { rig, policyId } = await rigged();
  const refusal = async (over: Partial<Introduced>) => {
    const outcome = await rig.admin.ask('introduceClient', introduced(policyId, over));
    return outcome.ok ? 'ok' : outcome.refusal;
  };
  assert.match(await refusal({ keyName: 'nope' }), 'no key named "nope"');
  assert.match(await refusal({ policyId: 999 }), 'no policy 999');
  rig.sql('UPDATE "Policy" SET expiresAt = 1 WHERE id = ?', policyId);
  assert.match(await refusal({}), 'has expired');
  rig.sql('UPDATE "Policy" SET expiresAt = NULL WHERE id = ?', policyId);
  await rig.admin.ask('deletePolicy', { id: policyId });
  assert.match(await refusal({}), `no policy ${policyId}`);
  await rig.admin.ask('deleteKey', { name: 'key' });
  assert.match(await refusal({}), 'was deleted');
  assert.equal(await users(rig), []);
  await rig.end();
});

test('relays are needed as long as the binding lives: revoked, logged out, deleted, they are not', async () => {
  const { rig, policyId } = await rigged();
  const told = async (what: string, work: () => Promise<unknown>) => {
    const before = rig.relaysChanged;
    await work();
    await rig.main.ask('keys', null);
    assert.ok(rig.relaysChanged > before, `${what} is told`);
    assert.equal(await kept(rig), [], what);
    await introduce(rig, policyId);
    assert.is((await kept(rig)).length, 1);
  };
  const { keyUserId } = await introduce(rig, policyId);
  await told('revoke_user', () => rig.admin.ask('revokeUser', { id: keyUserId }));
  await told('logout', () => rig.logout({ client }));
  await rig.admin.ask('deleteKey', { name: 'key' });
  assert.equal(await kept(rig), []);
  await rig.end();
});

test('a label of the client names a binding that nobody has named, and no other', async () => {
  const { rig, policyId } = await rigged();
  const connect = (secret: string, label: string, who = client) => {
    const { requestId, envelope, body, expires } = rig.asked();
    return rig.key('key').ask('connect', { client: who, requestId, envelope, body, expires, secret, label });
  };
  const description = async (who: string) => (await users(rig)).find(({ pubkey }) => pubkey === who)?.description;
  const { secret } = await rig.token(policyId);
  await connect(secret, 'calls itself so');
  assert.is(await description(client), 'c', "the token's name is the admin's word");
  rig.sql('INSERT INTO "KeyUser" (keyName, userPubkey) VALUES (?, ?)', 'key', hex('nameless'));
  await connect('', 'first', hex('nameless'));
  assert.is(await description(hex('nameless')), 'first');
  await connect('', 'second', hex('nameless'));
  assert.is(await description(hex('nameless')), 'first');
  await rig.end();
});

test('a key signs in to a relay when that is on record, and not once it is deleted', async () => {
  const { rig } = await rigged();
  const ask = (event: string) =>
    rig.key('key').ask('relayAuth', { relay: 'wss://a.example', event, expires: rig.clock.mono() + 5_000 });
  const event = fresh();
  assert.is(said(await ask(event)), 'ok');
  const [row] = rig.audit();
  const key = hex('pubkey of key');
  assert.equal(
    [row?.type, row?.params],
    ['relay auth', { keyName: 'key', key, kind: 22242, event, relay: 'wss://a.example' }],
  );
  await rig.admin.ask('deleteKey', { name: 'key' });
  assert.is(said(await ask(fresh())), 'not authorized');
  assert.is(rig.audit().length, 1);
  await rig.end();
});

test.run();
