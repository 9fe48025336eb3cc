import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import NDK, { NDKEvent, NDKNostrRpc, NDKPrivateKeySigner } from 'ndk-2.8.1';
import { generateSecretKey, getPublicKey, verifyEvent } from 'nostr-tools';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readConnectionString } from '../../src/admin/connection-string.ts';
import { makeEvent, makeStage, RELAYS, type Stage } from './stage.ts';

let stage: Stage;
test.before.each(async () => {
  stage = await makeStage();
});
test.after.each(() => stage.end());

test('a request is answered in its own kind and encryption', async () => {
  for (const encryption of ['nip44', 'nip04'] as const) {
    for (const kind of [24134, 24133]) {
      const id = `${encryption} ${kind}`;
      assert.equal(await stage.ask('ping', [], { encryption, kind, id }), { id, result: 'ok' });
      const event = stage.main.published.at(-1)!;
      assert.is(event.kind, kind);
      assert.is(event.content.includes('?iv='), encryption === 'nip04');
      assert.ok(verifyEvent(event as never));
      assert.is(event.pubkey, stage.daemon);
      assert.equal(event.tags, [['p', getPublicKey(stage.admin)]]);
    }
  }
});

test('NDK 2.8.1 sends a request and reads the answer', async () => {
  const signer = new NDKPrivateKeySigner(Buffer.from(stage.admin).toString('hex'));
  const ndk = new NDK({ signer, explicitRelayUrls: [] });
  const debug = Object.assign(() => {}, { extend: () => () => {} });
  const rpc = new NDKNostrRpc(ndk, signer, debug as never);
  const publish = NDKEvent.prototype.publish;
  NDKEvent.prototype.publish = async function (this: NDKEvent) {
    stage.deliver(JSON.stringify(this.rawEvent()));
    return new Set();
  };
  try {
    let seen = 0;
    const received = new Promise<{ result: string }>((resolve) => {
      void rpc.sendRequest(stage.daemon, 'create_new_key', ['from ndk', 'a passphrase'], 24134, (response) =>
        resolve(response),
      );
      const poll = setInterval(async () => {
        const event = stage.main.published[seen];
        if (event === undefined) return;
        seen++;
        clearInterval(poll);
        const parsed = await rpc.parseEvent(new NDKEvent(ndk, event as never));
        rpc.emit(`response-${parsed.id}`, parsed);
      }, 5);
    });
    const { result } = await received;
    assert.match(JSON.parse(result).npub, /^npub1[a-z0-9]{58}$/);
    assert.equal(stage.main.got, [{ name: 'from ndk', passphrase: 'a passphrase' }]);
    assert.ok(stage.main.published[0]!.content.includes('?iv='));
  } finally {
    NDKEvent.prototype.publish = publish;
  }
});

test('a number as id is echoed as the text that it prints as', async () => {
  assert.is((await stage.ask('ping', [], { id: 7 })).result, 'ok');
  assert.is(stage.answersTo('7').length, 1);
});

test('an unknown method, missing and malformed parameters', async () => {
  const unknown = await stage.ask('unlock_kye', ['k', 'pass']);
  assert.equal([unknown.result, unknown.error], ['["error","Unknown method unlock_kye"]', 'Unknown method unlock_kye']);
  const missing = await stage.ask('unlock_key', ['k']);
  assert.equal([missing.result, missing.error], ['error', 'Invalid params: passphrase is missing']);
  const cancelled = await stage.ask('create_new_key', [false, 'pass']);
  assert.is(cancelled.error, 'Invalid params: keyName must be text');
  const number = await stage.ask('unlock_key', ['k', 1234]);
  assert.is(number.error, 'Invalid params: passphrase must be text');
  const list = await stage.ask('get_key_tokens', []);
  assert.equal(
    [list.result, list.error],
    ['["error","Invalid params: keyName is missing"]', 'Invalid params: keyName is missing'],
  );
});

test('who is no admin is told so once a minute, whatever it asks', async () => {
  const stranger = generateSecretKey();
  const refusal = 'You are not designated to administrate this bunker';
  const answer = await stage.ask('create_new_key', ['k', 'p'], { from: stranger, lane: 'stranger' });
  assert.equal([answer.result, answer.error], ['error', refusal]);
  stage.send({ id: 'second', method: 'ping', params: [] }, { from: stranger, lane: 'stranger' });
  await stage.settled();
  assert.equal(stage.answersTo('second'), []);
  stage.clock.ms += 60_000;
  assert.is((await stage.ask('ping', [], { from: stranger, lane: 'stranger' })).error, refusal);
  assert.equal(stage.main.got, []);
});

test("of strangers' events ten a minute are looked into, in whatever lane they come", async () => {
  for (let i = 0; i < 20; i++) {
    const lane = i % 2 === 0 ? 'stranger' : 'admin';
    stage.send({ id: `s${i}`, method: 'ping', params: [] }, { from: generateSecretKey(), lane });
  }
  await stage.settled();
  const answered = Array.from({ length: 20 }, (_, i) => stage.answersTo(`s${i}`).length);
  assert.equal(answered, [...Array(10).fill(1), ...Array(10).fill(0)]);
  assert.is((await stage.ask('ping')).result, 'ok');
});

test('what is refused is recorded: the first of each kind for each sender and hour, and sixty of strangers in all', async () => {
  const reasons = () => stage.records.refused.map(({ reason }) => reason);
  for (let i = 0; i < 3; i++) {
    await stage.ask('unlock_kye', ['k', 'pass']);
    await stage.ask('revoke_user', []);
  }
  assert.equal(reasons(), ['unknown method', 'invalid params']);
  assert.equal(
    stage.records.refused.map(({ method, genuine }) => [method, genuine]),
    [
      [null, true],
      ['revoke_user', true],
    ],
  );
  const event = JSON.parse(makeEvent(stage, { id: 'x', method: 'ping', params: [] }));
  for (let i = 0; i < 70; i++) stage.deliver(JSON.stringify({ ...event, id: `${i}`.padStart(64, '0'), created_at: i }));
  await stage.settled();
  assert.equal(reasons().slice(2), ['clock skew'], 'of one sender once');
  for (let i = 0; i < 70; i++) {
    stage.deliver(JSON.stringify({ ...event, pubkey: `${i}`.padStart(64, '0'), created_at: i }));
  }
  await stage.settled();
  assert.is(reasons().length, 2 + 60);
  assert.is(stage.main.dropped.filter((reason) => reason === 'clock skew').length, 140, 'all of them are counted');
  assert.is((await stage.ask('ping', [false, {}])).result, 'ok');
  await stage.ask('get_key_users', []);
  assert.is(reasons().length, 2 + 60, 'the same kind');
  stage.clock.ms += 3_600_000;
  await stage.ask('unlock_kye', []);
  assert.is(reasons().at(-1), 'unknown method');
});

test('malformed, foreign, oversized and badly dated events are dropped in silence', async () => {
  const now = Math.floor(stage.clock.now() / 1000);
  const good = JSON.parse(makeEvent(stage, { id: 'x', method: 'ping', params: [] }));
  const other = await makeStage();
  const dropped = [
    'nonsense',
    '{}',
    JSON.stringify({ ...good, kind: 1 }),
    JSON.stringify({ ...good, tags: [['p', getPublicKey(generateSecretKey())]] }),
    makeEvent(other, { id: 'x', method: 'ping', params: [] }, { from: stage.admin }),
    makeEvent(stage, { id: 'x', method: 'ping', params: [] }, { createdAt: now - 601 }),
    makeEvent(stage, { id: 'x', method: 'ping', params: [] }, { createdAt: now + 601 }),
    makeEvent(stage, { id: 'x', method: 'ping', params: ['a'.repeat(200_000)] }),
    makeEvent(stage, { id: 'x', result: 'ok' }),
    makeEvent(stage, { method: 'ping', params: [] }),
    makeEvent(stage, [1, 2]),
  ];
  for (const raw of dropped) stage.deliver(raw);
  await stage.settled();
  assert.is(stage.main.published.length, 1, 'only the ping that follows was answered');
  // The last three are genuine events; that they hold no request is nobody's business.
  assert.equal(stage.main.verdicts, [...Array(8).fill(false), true, true, true, true]);
  await other.end();
});

test('content of exactly the limit is read', async () => {
  const raw = makeEvent(stage, { id: 'big', method: 'ping', params: ['a'.repeat(30_000)] });
  stage.settings({ maxContent: JSON.parse(raw).content.length });
  stage.deliver(raw);
  await stage.settled();
  assert.is(stage.answersTo('big').length, 1);
  stage.settings({ maxContent: JSON.parse(raw).content.length - 1 });
  assert.ok(stage.main.verdicts.every(Boolean));
  stage.deliver(makeEvent(stage, { id: 'bigger', method: 'ping', params: ['a'.repeat(30_000)] }));
  stage.settings();
  await stage.settled();
  assert.is(stage.answersTo('bigger').length, 0);
  assert.is(stage.main.verdicts.at(-2), false, 'not even its signature was looked at');
});

test('an event with a forged id or signature is not carried out, and does not suppress the true one', async () => {
  const raw = makeEvent(stage, {
    id: 'true',
    method: 'create_new_policy',
    params: ['{"name":"p","rules":[{"method":"ping"}]}'],
  });
  const event = JSON.parse(raw);
  stage.deliver(JSON.stringify({ ...event, id: '0'.repeat(64) }));
  stage.deliver(JSON.stringify({ ...event, sig: '0'.repeat(128) }));
  await stage.settled();
  assert.is(stage.records.policies.length, 0);
  stage.deliver(raw);
  await stage.settled();
  assert.is(stage.records.policies.length, 1);
});

test('the same event again is one request, also after a restart', async () => {
  const { raw } = stage.send({
    id: 'one',
    method: 'create_new_policy',
    params: ['{"name":"p","rules":[{"method":"ping"}]}'],
  });
  stage.deliver(raw);
  await stage.settled();
  assert.is(stage.records.policies.length, 1);
  assert.is(stage.answersTo('one').length, 1);
  const { raw: ping } = stage.send({ id: 'two', method: 'ping', params: [] });
  stage.deliver(ping);
  await stage.settled();
  assert.is(stage.answersTo('two').length, 1);

  const restarted = await makeStage();
  const again = makeEvent(restarted, {
    id: 'one',
    method: 'create_new_policy',
    params: ['{"name":"q","rules":[{"method":"ping"}]}'],
  });
  restarted.records.begun.push({ admin: '', event: JSON.parse(again).id, method: '', target: '' });
  restarted.deliver(again);
  await restarted.settled();
  assert.is(restarted.records.policies.length, 0, 'the policy actor remembers what an earlier run carried out');
  assert.is(restarted.answersTo('one').length, 0);
  await restarted.end();
});

test('the same request in another event gets the same answer, and nothing is done twice', async () => {
  stage.records.addKey('k');
  stage.records.policies.push({
    id: 1,
    name: 'p',
    description: null,
    createdAt: 0,
    updatedAt: 0,
    expiresAt: null,
    rules: [],
  });
  const params = [JSON.stringify({ key: 'k', client_name: 'c', policy_id: 1 })];
  const first = await stage.ask('issue_token', params, { id: 'same' });
  stage.clock.ms += 1000;
  const second = await stage.ask('issue_token', params, { id: 'same' });
  assert.equal(second, first);
  assert.is(stage.records.tokens.length, 1);
  assert.is(stage.records.begun.length, 2, 'the second event is remembered too');

  // The id alone does not tell: NDK's are short and come again.
  await stage.ask('issue_token', [JSON.stringify({ key: 'k', client_name: 'd', policy_id: 1 })], { id: 'same' });
  assert.is(stage.records.tokens.length, 2);
  stage.clock.ms += 600_001;
  await stage.ask('issue_token', params, { id: 'same' });
  assert.is(stage.records.tokens.length, 3, 'after ten minutes it is a new request');
});

test('however much is read meanwhile, the same request does nothing twice', async () => {
  stage.records.addKey('k');
  await stage.ask('create_new_policy', ['{"name":"p","rules":[{"method":"ping"}]}']);
  const params = [JSON.stringify({ key: 'k', client_name: 'c', policy_id: 1 })];
  const first = await stage.ask('issue_token', params, { id: 'same' });
  // Their answers are kept too, up to 16,000 rows.
  for (let i = 0; i < 1_000; i++) stage.records.addKey(`key ${i}`, i.toString(16).padStart(64, '0'));
  for (let i = 0; i < 20; i++) await stage.ask('get_keys', [], { encryption: 'nip04' });
  stage.clock.ms += 1000;
  assert.equal(await stage.ask('issue_token', params, { id: 'same' }), first);
  assert.is(stage.records.tokens.length, 1);
});

test('the same request while the first is in work joins it', async () => {
  let release = () => {};
  stage.main.derivation = new Promise((resolve) => {
    release = resolve;
  });
  const request = { id: 'r', method: 'create_new_key', params: ['k', 'pass'] };
  stage.send(request);
  stage.clock.ms += 1000;
  stage.send(request);
  await stage.settled();
  assert.is(stage.answersTo('r').length, 0);
  release();
  await stage.settled();
  await stage.settled();
  assert.is(stage.answersTo('r').length, 2);
  assert.is(stage.main.got.length, 1);
});

test('what differs in a secret only is another request', async () => {
  stage.records.addKey('k');
  assert.equal(JSON.parse((await stage.ask('unlock_key', ['k', 'wrong'], { id: 'u' })).result), {
    success: false,
    error: 'wrong passphrase',
  });
  assert.equal(JSON.parse((await stage.ask('unlock_key', ['k', 'correct horse'], { id: 'u' })).result), {
    success: true,
  });
});

test('changes are remembered before and recorded after; without that nothing is done', async () => {
  const params = ['{"name":"p","rules":[{"method":"ping"}]}'];
  await stage.ask('create_new_policy', params);
  assert.equal(
    stage.records.begun.map(({ method, target }) => [method, target]),
    [['create_new_policy', 'p']],
  );
  assert.equal(stage.records.ended, [{ method: 'create_new_policy', target: 'p', outcome: 'ok' }]);
  await stage.ask('get_policies');
  assert.is(stage.records.begun.length, 1, 'reading changes nothing');

  stage.records.broken = 'audit log unavailable';
  const refused = await stage.ask('create_new_policy', ['{"name":"q","rules":[{"method":"ping"}]}'], { id: 'again' });
  assert.is(refused.error, 'audit log unavailable');
  assert.is(stage.records.policies.length, 1);
  stage.records.broken = null;
  stage.clock.ms += 1000;
  const retried = await stage.ask('create_new_policy', ['{"name":"q","rules":[{"method":"ping"}]}'], { id: 'again' });
  assert.is(retried.result, '["ok"]', 'a retry after that is a new try');
});

test('requests that touch the same key are carried out in the order in which they came', async () => {
  let release = () => {};
  stage.main.derivation = new Promise((resolve) => {
    release = resolve;
  });
  stage.records.policies.push({
    id: 1,
    name: 'p',
    description: null,
    createdAt: 0,
    updatedAt: 0,
    expiresAt: null,
    rules: [],
  });
  stage.send({ id: 'create', method: 'create_new_key', params: ['k', 'pass'] });
  stage.send({ id: 'token', method: 'create_new_token', params: ['k', 'client', '1', null] });
  stage.send({ id: 'list', method: 'get_key_tokens', params: ['k'] });
  await stage.settled();
  assert.equal([stage.answersTo('create'), stage.answersTo('token'), stage.answersTo('list')], [[], [], []]);
  release();
  await stage.settled();
  await stage.settled();
  assert.is(stage.answersTo('token')[0]!.result, '["ok"]');
  assert.is(JSON.parse(stage.answersTo('list')[0]!.result).length, 1);
});

test('a probe comes from the daemon to itself, and is not taken for a request', async () => {
  const probes = [await stage.link.ask('probe', null), await stage.link.ask('probe', null)].map((raw) =>
    JSON.parse(raw),
  );
  assert.is.not(probes[0].id, probes[1].id);
  for (const probe of probes) {
    assert.equal([probe.kind, probe.pubkey, probe.tags], [24133, stage.daemon, [['p', stage.daemon]]]);
    assert.ok(verifyEvent(probe));
    stage.deliver(JSON.stringify(probe), 'stranger');
  }
  await stage.settled();
  assert.is(stage.main.published.length, 1);
});

test('a request that is still in work when the actor closes ends in silence', async () => {
  let release = () => {};
  stage.main.derivation = new Promise((resolve) => {
    release = resolve;
  });
  stage.send({ id: 'late', method: 'create_new_key', params: ['k', 'pass'] });
  await stage.settled();
  const failures: unknown[] = [];
  const note = (error: unknown) => failures.push(error);
  process.on('unhandledRejection', note);
  await stage.link.ask('close', null);
  release();
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setTimeout(resolve, 1));
  process.off('unhandledRejection', note);
  assert.equal([failures, stage.answersTo('late')], [[], []]);
});

test('the connection string is written beside the configuration', async () => {
  await stage.settled();
  const text = readFileSync(join(stage.folder, 'connection.txt'), 'utf8').trim();
  assert.match(text, /^bunker:\/\/npub1[a-z0-9]+@b\.example\.com%2Cws%3A%2F%2F127\.0\.0\.1%3A4736$/);
  assert.equal(readConnectionString(text), { pubkey: stage.daemon, relays: RELAYS });
});

test('nothing that was sent as a secret is in a log line or an audit row', async () => {
  stage.records.addKey('k');
  const canary = 'CANARY-4f1d';
  await stage.ask('unlock_key', ['k', canary]);
  await stage.ask('unlock_kye', ['k', canary]);
  await stage.ask('create_new_key', ['bad/name', canary, canary]);
  await stage.ask('create_new_key', ['k', canary, canary]);
  const seen = JSON.stringify([stage.main.logs, stage.records.begun, stage.records.ended, stage.answers()]);
  assert.ok(seen.includes('wrong passphrase'));
  assert.not.ok(seen.includes(canary));
});

test.run();
