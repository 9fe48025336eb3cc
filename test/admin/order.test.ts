/** Which requests wait for which. */
import { MessageChannel } from 'node:worker_threads';
import { generateSecretKey, getPublicKey } from 'nostr-tools';
import { createNostrConnectURI } from 'nostr-tools/nip46';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Link } from '../../src/actor/link.ts';
import type { AdminToKey, KeyToAdmin } from '../../src/admin/protocol.ts';
import type { Outcome } from '../../src/policy/protocol.ts';
import { makeStage, type Stage } from './stage.ts';

let stage: Stage;
test.before.each(async () => {
  stage = await makeStage();
  for (const name of ['k', 'other']) {
    stage.records.addKey(name);
    stage.main.unlocked.add(name);
  }
  stage.records.addUser('k');
  await stage.ask('create_new_policy', [{ name: 'p', rules: [{ method: 'sign_event' }] }]);
  await stage.ask('create_new_token', ['k', 'phone', 1]);
});
test.after.each(() => stage.end());

const send = (method: string, ...params: unknown[]) => stage.send({ id: method, method, params }).id;
const answer = (method: string) => stage.answersTo(method)[0]?.result;
async function answered(method: string): Promise<string> {
  while (answer(method) === undefined) await stage.settled();
  return answer(method)!;
}

/** Holds whatever derives from a passphrase. @returns ends it */
function holdDerivations(): () => void {
  const { promise, resolve } = Promise.withResolvers<void>();
  stage.main.derivation = promise;
  return resolve;
}

/** Sends a connect_client whose relays do not answer. @returns ends the waiting for them */
function connectSlowly(key: string): () => void {
  const { promise, resolve } = Promise.withResolvers<Outcome<null>>();
  stage.main.reached = promise;
  const clientPubkey = getPublicKey(generateSecretKey());
  send('connect_client', createNostrConnectURI({ clientPubkey, relays: ['wss://slow.example'], secret: 's' }), key, 1);
  return () => resolve({ ok: true, value: null });
}

async function revokesAtOnce(): Promise<void> {
  assert.is((await stage.ask('revoke_user', [1])).result, '["ok"]');
  assert.is((await stage.ask('revoke_token', [1])).result, '["ok"]');
  assert.type(stage.records.users[0]!.revokedAt, 'number');
  assert.type(stage.records.tokens[0]!.revokedAt, 'number');
}

for (const key of ['k', 'other']) {
  test(`a revocation does not wait for a client's relays, nor for what waits for them: ${key}`, async () => {
    const reached = connectSlowly(key);
    await stage.settled();
    const waiting = [send('get_key_users', key), send('get_key_tokens', key), send('delete_key', key)];
    await stage.settled();
    await revokesAtOnce();
    assert.equal(['connect_client', ...waiting].map(answer), [undefined, undefined, undefined, undefined]);
    reached();
    assert.equal([await answered('connect_client'), await answered('delete_key')], ['["ok"]', '["ok"]']);
    assert.is(JSON.parse(answer('get_key_users')!).length, key === 'k' ? 1 : 0);
  });
}

test('a revocation does not wait for a key that is being made, nor for the token that it is to have', async () => {
  const derived = holdDerivations();
  send('create_new_key', 'made', 'pass');
  send('create_new_token', 'made', 'c', 1);
  send('pair', { key: 'paired', client_name: 'atm', policy: 'p', passphrase: 'pass' });
  await stage.settled();
  assert.equal(
    stage.main.got.map(({ name }) => name),
    ['made', 'paired'],
  );
  await revokesAtOnce();
  assert.equal([answer('create_new_token'), answer('pair')], [undefined, undefined]);
  derived();
  assert.is(await answered('create_new_token'), '["ok"]');
  assert.is(JSON.parse(await answered('pair')).key, 'paired');
});

test('a revocation does not wait for the relays nor for the unlockers that deleting or purging another key takes', async () => {
  stage.records.addKey('gone').deletedAt = 1;
  const derived = holdDerivations();
  const { promise, resolve: subscribed } = Promise.withResolvers<void>();
  stage.main.subscribed = promise;
  send('delete_key', 'other');
  send('purge_key', 'gone');
  await stage.settled();
  await revokesAtOnce();
  assert.equal([answer('delete_key'), answer('purge_key')], [undefined, undefined]);
  derived();
  subscribed();
  assert.equal([await answered('delete_key'), await answered('purge_key')], ['["ok"]', '["ok"]']);
});

test('an approval, either way it is given, does not wait for what its key waits for', async () => {
  const reached = connectSlowly('k');
  const { port1, port2 } = new MessageChannel();
  const key = new Link<KeyToAdmin, AdminToKey>(port1, {});
  stage.link.tell('attachKey', { keyName: 'k', port: port2 }, [port2]);
  const question = { method: 'sign_event', kind: 1, param: '{}', description: '', stranger: false } as const;
  const asked = ['a', 'b'].map((client) => key.ask('approve', { ...question, client, subject: client }));
  let waiting: { id: string }[] = [];
  while (waiting.length < 2) waiting = JSON.parse((await stage.ask('get_requests')).result);
  await stage.ask('approve_request', [waiting[0]!.id, { once: true }]);
  stage.send({ id: waiting[1]!.id, result: '["once"]' });
  for (const { verdict } of await Promise.all(asked)) assert.is(verdict, 'again');
  assert.is(answer('connect_client'), undefined);
  reached();
  await answered('connect_client');
  port1.close();
});

test('a key that is deleted, purged and made anew without waiting is unlocked; a lock that comes after that holds', async () => {
  for (const method of ['delete_key', 'purge_key']) send(method, 'k');
  send('create_new_key', 'k', 'pass');
  assert.match(await answered('create_new_key'), 'npub1');
  assert.ok(stage.main.unlocked.has('k'));
  assert.is(stage.records.keys.find(({ name }) => name === 'k')?.lockedAt, null);

  for (const method of ['delete_key', 'purge_key']) stage.send({ id: `${method} again`, method, params: ['k'] });
  stage.send({ id: 'made again', method: 'create_new_key', params: ['k', 'pass'] });
  send('lock_key', 'k');
  await answered('made again');
  assert.not.ok(stage.main.unlocked.has('k'));
});

const handedOn = () => stage.main.got.map(({ name }) => name);

test('what works on every key waits for all keys in order of arrival, a key in the making too, and they wait for it', async () => {
  const sweeps: [string, unknown[], string][] = [
    ['change_passphrase', ['*', 'correct horse', 'new'], '*'],
    ['unlock_keys', [{ passphrase: 'correct horse' }], 'k other'],
  ];
  for (const [method, params, handed] of sweeps) {
    const derived = holdDerivations();
    stage.main.unlocked.clear();
    const [made, later] = [`made before ${method}`, `made after ${method}`];
    stage.send({ id: made, method: 'create_new_key', params: [made, 'pass'] });
    send(method, ...params);
    stage.send({ id: later, method: 'create_new_key', params: [later, 'pass'] });
    stage.send({ id: `k after ${method}`, method: 'unlock_key', params: ['k', 'new'] });
    await stage.settled();
    assert.equal(handedOn(), [made]);
    stage.main.got = [];
    derived();
    await answered(later);
    await answered(`k after ${method}`);
    assert.is(handedOn()[0], handed);
    stage.main.got = [];
    stage.records.keys.splice(2);
  }
});

test('a lock waits for nothing that works on every key, nor does what touches no key', async () => {
  stage.main.unlocked.delete('other');
  const derived = holdDerivations();
  send('change_passphrase', '*', 'correct horse', 'new');
  send('unlock_keys', { passphrase: 'correct horse' });
  await stage.settled();
  assert.is((await stage.ask('lock_key', ['k'])).result, '["ok"]');
  assert.match((await stage.ask('lock_key', ['nobody'])).error!, 'no key named "nobody"');
  assert.is((await stage.ask('lock_keys')).result, '{"locked":0}');
  await stage.ask('get_policies');
  await revokesAtOnce();
  assert.equal([answer('change_passphrase'), answer('unlock_keys')], [undefined, undefined]);
  derived();
  await answered('unlock_keys');
  assert.is(stage.main.unlocked.size, 0);
});

test('requests that touch the same policy are carried out in the order in which they came', async () => {
  const { createPolicy } = stage.records.handlers;
  stage.records.handlers.createPolicy = async (wanted) => {
    await new Promise((resolve) => setTimeout(resolve, 20));
    return createPolicy(wanted);
  };
  stage.stopPolicy();
  stage.startPolicy();
  send('create_new_policy', { name: 'new', rules: [{ method: 'ping' }] });
  send('pair', { key: 'k', client_name: 'atm', policy: 'new', passphrase: 'pass' });
  send('delete_policy', 2);
  send('get_policies');
  const policies = JSON.parse(await answered('get_policies'));
  assert.is(JSON.parse(answer('pair')!).key, 'k');
  assert.equal(
    policies.map(({ name }: { name: string }) => name),
    ['p'],
  );
});

test.run();
