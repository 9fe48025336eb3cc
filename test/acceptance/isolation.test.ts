/**
 * What no rule grants: a client cannot speak for the bunker itself, read what other clients or admins say to it, or reach
 * beyond the key that it is bound to (docs/POLICY.md, before any rule).
 */
import { generateSecretKey, getPublicKey, nip04, nip44, verifyEvent } from 'nostr-tools';
import { decode } from 'nostr-tools/nip19';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { WebSocket } from 'ws';
import type { SignedEvent } from '../support/clients.ts';
import { TestDaemon } from '../support/daemon.ts';
import { dropped } from '../support/metrics.ts';
import { adminOf, type Paired, pair, type Rule } from '../support/provision.ts';
import { type Encryption, parseBunkerUrl, RpcClient } from '../support/rpc.ts';
import { until } from '../support/until.ts';

const daemon = new TestDaemon({
  env: {
    REDOUBT_KEYSTORE_LOG_N: '14',
    REDOUBT_LIMITS_STRANGERS_PER_KEY: '1000',
    REDOUBT_LIMITS_STRANGERS_TOTAL: '1000',
  },
});

const CIPHERS = ['nip44_encrypt', 'nip44_decrypt', 'nip04_encrypt', 'nip04_decrypt'];
const EVERYTHING: Rule[] = [{ method: 'sign_event', kind: 'all' }, ...CIPHERS.map((method) => ({ method }))];
const SCHEMES: Encryption[] = ['nip44', 'nip04'];

let admin: RpcClient;
/** Has a rule for every kind and the four ciphers. */
let greedy: Paired;
/** Another client of the same key. */
let victim: Paired;

test.before(async () => {
  await daemon.start();
  admin = await adminOf(daemon);
  await admin.result('create_new_key', ['other', 'a passphrase of the other key']);
  greedy = await pair(admin, daemon.quickstart, EVERYTHING);
  victim = await pair(admin, daemon.quickstart, [{ method: 'sign_event', kind: 1 }]);
});
test.after(async () => {
  admin?.close();
  greedy?.client.close();
  victim?.client.close();
  await daemon.remove();
});

const now = () => Math.floor(Date.now() / 1000);
const template = (kind: number) => JSON.stringify({ kind, content: `kind ${kind}`, tags: [], created_at: now() });
const encryptFor = (scheme: Encryption, secretKey: Uint8Array, pubkey: string, text: string) =>
  scheme === 'nip04'
    ? nip04.encrypt(secretKey, pubkey, text)
    : nip44.encrypt(text, nip44.getConversationKey(secretKey, pubkey));

for (const kind of [24133, 24134, 22242, 27235, 62]) {
  test(`a rule for all kinds does not have kind ${kind} signed`, async () => {
    const response = await greedy.client.call('sign_event', [template(kind)]);
    assert.equal({ result: response.result, error: response.error }, { result: '', error: 'not authorized' });
  });
}

test('a rule without a kind is one for all kinds, and no more', async () => {
  const { client } = await pair(admin, daemon.quickstart, [{ method: 'sign_event' }]);
  for (const kind of [24133, 24134, 22242, 27235, 62]) {
    assert.is((await client.call('sign_event', [template(kind)])).error, 'not authorized', `kind ${kind}`);
  }
  assert.ok(verifyEvent(JSON.parse(await client.result('sign_event', [template(1)]))));
  client.close();
});

test('a rule for all kinds has every other kind signed', async () => {
  for (const kind of [0, 1, 3, 5, 1059, 10_002, 24_132, 24_135, 30_023, 65_535]) {
    const event = JSON.parse(await greedy.client.result('sign_event', [template(kind)])) as SignedEvent;
    assert.is(event.kind, kind);
    assert.ok(verifyEvent(event), `kind ${kind} verifies`);
  }
});

test('a rule that names the kind has it signed, except 24133', async () => {
  const kinds = [24134, 22242, 27235, 62, 24133];
  const rules = kinds.map((kind) => ({ method: 'sign_event', kind }));
  const { client } = await pair(admin, daemon.quickstart, rules);
  for (const kind of kinds.filter((kind) => kind !== 24133)) {
    assert.ok(verifyEvent(JSON.parse(await client.result('sign_event', [template(kind)]))), `kind ${kind}`);
  }
  assert.is((await client.call('sign_event', [template(24133)])).error, 'not authorized');
  client.close();
});

/** What anybody can take off the relay: the request of another client, and the key's answer to it. */
async function overhear(encryption: Encryption): Promise<SignedEvent[]> {
  const { client } = victim;
  const heard: SignedEvent[] = [];
  const ear = new WebSocket(daemon.quickstart.relay);
  const filters = [
    { kinds: [24133], '#p': [client.remote] },
    { kinds: [24133], '#p': [client.pubkey] },
  ];
  ear.on('open', () => ear.send(JSON.stringify(['REQ', 'ear', ...filters])));
  const listening = Promise.withResolvers<void>();
  ear.on('message', (data) => {
    const [type, , event] = JSON.parse(String(data)) as [string, string, SignedEvent];
    if (type === 'EOSE') listening.resolve();
    if (type === 'EVENT') heard.push(event);
  });
  await listening.promise;
  const { event, response } = client.send('ping', [], { encryption });
  await response;
  await until('the ear has heard both', () => heard.length >= 2);
  ear.close();
  assert.is(heard[0]!.id, event.id);
  assert.is(heard[0]!.content.includes('?iv='), encryption === 'nip04');
  return heard;
}

for (const scheme of SCHEMES) {
  test(`what another client said and was told, taken off the relay, is not decrypted (${scheme})`, async () => {
    for (const { content } of await overhear(scheme)) {
      const response = await greedy.client.call(`${scheme}_decrypt`, [victim.client.pubkey, content]);
      assert.equal({ result: response.result, error: response.error }, { result: '', error: 'not authorized' });
    }
  });

  test(`nothing at all is decrypted that comes from another client of the key (${scheme})`, async () => {
    const { client } = victim;
    const ciphertext = encryptFor(scheme, client.secretKey, client.remote, 'a private note, no message');
    const response = await greedy.client.call(`${scheme}_decrypt`, [client.pubkey, ciphertext]);
    assert.is(response.error, 'not authorized');
  });

  test(`nothing is decrypted that comes from an admin or from the daemon (${scheme})`, async () => {
    const { remote } = greedy.client;
    const fromAdmin = encryptFor(scheme, admin.secretKey, remote, 'an aside of the admin');
    const config = JSON.parse(await readConfig()) as { admin: { key: string } };
    const daemonKey = Uint8Array.from(Buffer.from(config.admin.key, 'hex'));
    assert.is(getPublicKey(daemonKey), daemon.quickstart.daemon_pubkey);
    const fromDaemon = encryptFor(scheme, daemonKey, remote, 'an aside of the daemon');
    for (const [peer, ciphertext] of [
      [admin.pubkey, fromAdmin],
      [daemon.quickstart.daemon_pubkey, fromDaemon],
    ]) {
      const response = await greedy.client.call(`${scheme}_decrypt`, [peer, ciphertext]);
      assert.is(response.error, 'not authorized');
    }
  });

  test(`a message of the protocol is not decrypted, whoever wrote it (${scheme})`, async () => {
    const { client } = greedy;
    const writer = generateSecretKey();
    const decrypt = (text: string) =>
      client.call(`${scheme}_decrypt`, [getPublicKey(writer), encryptFor(scheme, writer, client.remote, text)]);
    for (const text of [
      '{"id":"1","method":"ping","params":[]}',
      '{"id":"1","result":"ack"}',
      '{"result":"ack","id":1}',
      '  \n{ "method" : "ping", "id" : null }',
      '{"\\u0069d":"1","\\u006dethod":"ping"}',
      '\ufeff{"id":"1","method":"ping","params":[]}',
    ]) {
      const response = await decrypt(text);
      assert.equal({ result: response.result, error: response.error }, { result: '', error: 'not authorized' }, text);
    }
    // One's own traffic is such a message too.
    const own = client.request('ping', [], { encryption: scheme }).event.content;
    assert.is((await client.call(`${scheme}_decrypt`, [client.pubkey, own])).error, 'not authorized');

    for (const text of ['{"id":"1","content":"no message"}', '["id","method"]', '"id" and "method"', '\ufeffmarked']) {
      assert.is((await decrypt(text)).result, text);
    }
  });
}

test('one who was a client once stays unread after its logout', async () => {
  const { client: gone } = await pair(admin, daemon.quickstart, [{ method: 'sign_event', kind: 1 }]);
  await gone.result('logout');
  const ciphertext = encryptFor('nip44', gone.secretKey, gone.remote, 'a note');
  assert.is((await greedy.client.call('nip44_decrypt', [gone.pubkey, ciphertext])).error, 'not authorized');
  gone.close();
});

test('a token of one key is none of another', async () => {
  const here = await pair(admin, daemon.quickstart, EVERYTHING);
  const { client: there } = await pair(admin, daemon.quickstart, EVERYTHING, 'other');
  const fresh = parseBunkerUrl(
    JSON.parse(
      await admin.result('issue_token', [JSON.stringify({ key: 'demo', client_name: 't', policy_name: 'demo' })]),
    ).bunker_url,
  );
  const thief = await new RpcClient(generateSecretKey(), there.remote).open(daemon.quickstart.relay);
  for (const secret of [fresh.secret, here.secret]) {
    assert.is((await thief.call('connect', [there.remote, secret])).error, 'token not found');
  }
  // It was not used up by that.
  const owner = await new RpcClient(generateSecretKey(), fresh.pubkey).open(daemon.quickstart.relay);
  assert.is(await owner.result('connect', [fresh.pubkey, fresh.secret]), 'ack');
  for (const client of [here.client, there, thief, owner]) client.close();
});

test('a client of one key is a stranger to another: silence', async () => {
  const { client: there } = await pair(admin, daemon.quickstart, EVERYTHING, 'other');
  const stranger = await new RpcClient(greedy.client.secretKey, there.remote).open(daemon.quickstart.relay);
  const before = await dropped(daemon, 'no binding');
  const methods = ['ping', 'get_public_key', 'sign_event', 'nip44_encrypt', 'logout', 'no_such_method'];
  for (const method of methods) stranger.sendEvent(stranger.request(method, [template(1)]).event);
  await until('all are dropped', async () => (await dropped(daemon, 'no binding')) === before + methods.length);
  assert.is(await there.result('ping'), 'pong');
  assert.equal(stranger.received, []);
  assert.is(await greedy.client.result('ping'), 'pong');
  stranger.close();
  there.close();
});

async function readConfig(): Promise<string> {
  const { readFile } = await import('node:fs/promises');
  return readFile(`${daemon.data}/nsecbunker.json`, 'utf8');
}

test('the admin key of these tests is the one that the daemon knows', () => {
  const decoded = decode(daemon.quickstart.admin_npub);
  assert.is(decoded.type === 'npub' && decoded.data, admin.pubkey);
});

test.run();
