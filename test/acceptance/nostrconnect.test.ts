// deadline: 120 s
/** Clients that show a nostrconnect:// URI (NIP-46) and wait on a relay of their own, which the daemon was never told of. */
import { verifyEvent } from 'nostr-tools';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { runCli } from '../support/cli.ts';
import { inviteSigner, newClientKey, openClient, type SignerClient } from '../support/clients.ts';
import { TestDaemon } from '../support/daemon.ts';
import { rows } from '../support/database.ts';
import { OutsideRelay } from '../support/outside-relay.ts';
import { adminOf, createPolicy } from '../support/provision.ts';
import { parseBunkerUrl, type RpcClient } from '../support/rpc.ts';

const LIBRARIES = ["nostr-tools' BunkerSigner", "NDK 3.0.3's NDKNip46Signer"];

const relay = new OutsideRelay();
const daemon = new TestDaemon({ env: { REDOUBT_ALLOW_PRIVATE_RELAYS: 'true' } });
const connected: { library: string; clientKey: string }[] = [];
let admin: RpcClient;
let policy: number;
let key: string;

test.before(async () => {
  await relay.start();
  await daemon.start();
  await login();
  policy = await createPolicy(admin, 'apps', [{ method: 'sign_event', kind: 1 }]);
  key = parseBunkerUrl(daemon.quickstart.bunker_url).pubkey;
});
test.after(async () => {
  await daemon.remove();
  await relay.stop();
});

async function login(): Promise<void> {
  admin = await adminOf(daemon);
}

async function signs(client: SignerClient): Promise<void> {
  const event = await client.sign(1, 'over my own relay');
  assert.is(event.pubkey, key);
  assert.ok(verifyEvent(event));
}

for (const [i, library] of LIBRARIES.entries()) {
  test(`${library} is connected by its URI, and signs`, async () => {
    const clientKey = newClientKey();
    const { uri, accepted } = await inviteSigner(library, relay.url, clientKey);
    const waiting = accepted();
    if (i === 0) assert.is(await admin.result('connect_client', [uri, 'demo', policy]), '["ok"]');
    else {
      const { code, stdout } = await runCli([
        'connect',
        uri,
        '--key',
        'demo',
        '--policy',
        'apps',
        '--json',
        '--data',
        daemon.data,
      ]);
      assert.is(code, 0);
      assert.equal(JSON.parse(stdout).relays, [relay.url]);
    }
    const client = await waiting;
    assert.is(await client.getPublicKey(), key);
    await signs(client);
    const refused = await client.sign(4, 'not in the policy').then(String, String);
    assert.match(refused, 'not authorized');
    await client.close();
    connected.push({ library, clientKey });
  });
}

test('what the client calls itself is a label, and its token is one like any other', async () => {
  const users = JSON.parse(await admin.result('get_key_users', ['demo'])) as { description: string; pubkey: string }[];
  assert.equal(
    users.map(({ description }) => description),
    ['a nostr-tools app', 'an NDK app'],
  );
  const tokens = JSON.parse(await admin.result('get_key_tokens', ['demo'])) as { redeemed_by: string | null }[];
  for (const { pubkey } of users) assert.is(tokens.filter(({ redeemed_by }) => redeemed_by === pubkey).length, 1);
  const stored = rows<{ relays: string }>(daemon, 'SELECT relays FROM KeyUser WHERE relays IS NOT NULL');
  assert.equal(
    stored.map(({ relays }) => JSON.parse(relays)),
    [[relay.url], [relay.url]],
  );
});

test('after kill -9 and a start they sign over their own relay at once', async () => {
  assert.is(connected.length, LIBRARIES.length);
  await daemon.kill();
  await daemon.start();
  await login();
  for (const { library, clientKey } of connected) {
    const client = await openClient(library, `bunker://${key}?relay=${encodeURIComponent(relay.url)}`, clientKey);
    await signs(client);
    await client.close();
  }
});

test.run();
