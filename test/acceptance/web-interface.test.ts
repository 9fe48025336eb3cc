/** nsecbunkerd's web interface as an admin: NDK 2.8.1's RPC class, every method that nsecbunkerd has, and `acl`. */
// deadline: 60 s
import { generateSecretKey, nip19, verifyEvent } from 'nostr-tools';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { TestDaemon } from '../support/daemon.ts';
import { parseBunkerUrl, RpcClient } from '../support/rpc.ts';
import { until } from '../support/until.ts';
import { WebInterface } from '../support/web-interface.ts';

const daemon = new TestDaemon({
  env: { REDOUBT_ASK_FOR_STRANGERS: 'true', REDOUBT_APPROVAL_TIMEOUT: '10000', REDOUBT_KEYSTORE_LOG_N: '14' },
});
let web: WebInterface;

test.before(async () => {
  await daemon.start();
  web = await WebInterface.open(daemon);
});
test.after(async () => {
  await web?.close();
  await daemon.remove();
});

interface Policy {
  id: number;
  name: string;
  rules: { method: string; kind: string | null; max_usage_count: number | null; current_usage_count: number }[];
}
interface Token {
  id: number;
  token: string;
  client_name: string;
  redeemed_at: string | null;
  redeemed_by: string | null;
}
interface User {
  id: number;
  pubkey: string;
  description: string | null;
  revokedAt: string | null;
  signingConditions: { method: string; kind: string; allowed: boolean }[];
}

const template = (kind: number) =>
  JSON.stringify({ kind, content: 'hello', tags: [], created_at: Math.floor(Date.now() / 1000) });

/** The nth question of the daemon. */
async function asked(n: number): Promise<{ id: string; question: { [name: string]: string } }> {
  await until('the web interface is asked', () => web.asked.length > n);
  const { id, method, params } = web.asked[n]!;
  assert.is(method, 'acl');
  return { id, question: JSON.parse(params[0]!) };
}

test('every method, from a new key to a revoked client, and an acl that is answered with always', async () => {
  assert.is((await web.call('ping')).result, 'ok');

  const passphrase = 'a passphrase of the web interface';
  const { npub } = await web.parsed<{ npub: string }>('create_new_key', ['web', passphrase]);
  const decoded = nip19.decode(npub);
  assert.is(decoded.type, 'npub');
  const pubkey = String(decoded.data);
  const keys = await web.parsed<{ name: string; npub?: string; userCount?: number }[]>('get_keys');
  const listed = keys.find(({ name }) => name === 'web')!;
  assert.is(listed.npub, npub);
  assert.is(listed.userCount, 0);
  assert.equal(await web.parsed('unlock_key', ['web', passphrase]), { success: true });

  const rules = [{ method: 'sign_event', kind: 1, use_count: 5 }, { method: 'nip44_encrypt' }];
  assert.equal(await web.parsed('create_new_policy', [JSON.stringify({ name: 'web policy', rules })]), ['ok']);
  const policy = (await web.parsed<Policy[]>('get_policies')).find(({ name }) => name === 'web policy')!;
  assert.equal(
    policy.rules.map(({ method, kind, max_usage_count: max }) => [method, kind, max]),
    [
      ['sign_event', '1', 5],
      ['nip44_encrypt', null, null],
    ],
  );

  assert.equal(await web.parsed('create_new_token', ['web', 'the machine', String(policy.id), '1']), ['ok']);
  const [token] = await web.parsed<Token[]>('get_key_tokens', ['web']);
  assert.is(token!.redeemed_at, null);
  assert.is(token!.client_name, 'the machine');
  const [shownNpub, secret] = token!.token.split('#');
  assert.is(shownNpub, npub);

  const client = await new RpcClient(generateSecretKey(), pubkey).open(daemon.quickstart.relay);
  assert.is(await client.result('connect', [pubkey, secret]), 'ack');
  assert.is((await web.parsed<Token[]>('get_key_tokens', ['web']))[0]!.redeemed_by !== null, true);
  assert.ok(verifyEvent(JSON.parse(await client.result('sign_event', [template(1)]))));

  const waiting = client.result('sign_event', [template(7)]);
  const { id, question } = await asked(0);
  assert.is(question.keyName, 'web');
  assert.is(question.remotePubkey, client.pubkey);
  assert.is(question.method, 'sign_event');
  assert.is(JSON.parse(question.param!).kind, 7);
  web.answer(id, ['always', 'web client', { kind: '7' }]);
  // As the page does: it does not wait for anything in between.
  assert.equal(await web.parsed('rename_key_user', [client.pubkey, 'the machine in the hall']), ['ok']);
  assert.ok(verifyEvent(JSON.parse(await waiting)));
  assert.ok(verifyEvent(JSON.parse(await client.result('sign_event', [template(7)]))));
  assert.is(web.asked.length, 1);

  const [user] = await web.parsed<User[]>('get_key_users', ['web']);
  assert.is(user!.pubkey, client.pubkey);
  assert.is(user!.description, 'the machine in the hall');
  assert.equal(
    user!.signingConditions.map(({ method, kind, allowed }) => [method, kind, allowed]),
    [['sign_event', '7', true]],
  );
  assert.equal(await web.parsed('revoke_user', [String(user!.id)]), ['ok']);
  assert.is((await client.call('sign_event', [template(7)])).error, 'revoked');
  client.close();
});

test('a stranger that connects without a secret is asked about, and let in', async () => {
  const { pubkey } = parseBunkerUrl(daemon.quickstart.bunker_url);
  const before = web.asked.length;
  const client = await new RpcClient(generateSecretKey(), pubkey).open(daemon.quickstart.relay);
  const connecting = client.result('connect', [pubkey]);
  const { id, question } = await asked(before);
  assert.is(question.method, 'connect');
  web.answer(id, ['always', 'a new client', {}]);
  assert.is(await connecting, 'ack');
  assert.is(await client.result('get_public_key'), pubkey);
  client.close();
});

test('what fails is shown as the page shows it', async () => {
  const unknown = await web.parsed('no_such_method').then(
    () => null,
    (error: Error) => error.message,
  );
  assert.is(unknown, 'Unknown method no_such_method');
  assert.match((await web.call('get_key_users', ['no such key'])).result, '["error",');
  assert.is((await web.call('create_new_key', ['web', 'x'])).result, 'error');
  const wrong = await web.parsed<{ success: boolean; error: string }>('unlock_key', ['no such key', 'x']);
  assert.is(wrong.success, false);
  assert.match(wrong.error, 'no such key');
  assert.is(
    (await web.call('create_account', ['name', 'example.com'])).result,
    '["error","Unknown method create_account"]',
  );
});

test.run();
