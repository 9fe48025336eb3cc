// deadline: 120 s
/** Client libraries that no one here wrote pair with the built daemon, over its relay socket, and use it. */
import { generateSecretKey, getPublicKey, verifyEvent } from 'nostr-tools';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { libraries, newClientKey, openClient, type SignerClient } from '../support/clients.ts';
import { TestDaemon } from '../support/daemon.ts';
import { adminOf } from '../support/provision.ts';
import { parseBunkerUrl } from '../support/rpc.ts';

const daemon = new TestDaemon();
const paired: { library: string; url: string; clientKey: string }[] = [];

test.before(async () => {
  await daemon.start();
});
test.after(() => daemon.remove());

async function freshBunkerUrl(): Promise<string> {
  const admin = await adminOf(daemon);
  try {
    const token = JSON.parse(
      await admin.result('issue_token', [
        JSON.stringify({ key: 'demo', client_name: 'test', policy_name: 'demo', expires_in_hours: 1 }),
      ]),
    ) as { bunker_url: string };
    return token.bunker_url;
  } finally {
    admin.close();
  }
}

async function useEverything(client: SignerClient, pubkey: string): Promise<void> {
  assert.is(await client.getPublicKey(), pubkey);
  for (const kind of [1, 21000]) {
    const event = await client.sign(kind, `a note of kind ${kind}`);
    assert.is(event.kind, kind);
    assert.is(event.pubkey, pubkey);
    assert.ok(verifyEvent(event), `kind ${kind} verifies`);
  }
  const other = getPublicKey(generateSecretKey());
  for (const scheme of ['nip44', 'nip04'] as const) {
    const text = `between us, in ${scheme}: ünïcödé`;
    const ciphertext = await client.encrypt(scheme, other, text);
    assert.not.match(ciphertext, 'between us');
    assert.is(await client.decrypt(scheme, other, ciphertext), text);
  }
  await client.ping();
}

for (const library of libraries) {
  test(`${library} pairs, signs, encrypts and pings`, async () => {
    const url = paired.length === 0 ? daemon.quickstart.bunker_url : await freshBunkerUrl();
    const clientKey = newClientKey();
    const client = await openClient(library, url, clientKey);
    await client.connect();
    await useEverything(client, parseBunkerUrl(url).pubkey);
    await client.close();
    paired.push({ library, url, clientKey });
  });
}

test('after kill -9 and a start the same clients sign at once, without connecting again', async () => {
  assert.is(paired.length, libraries.length);
  await daemon.kill();
  await daemon.start();
  for (const { library, url, clientKey } of paired) {
    const client = await openClient(library, url, clientKey);
    const event = await client.sign(1, 'still paired');
    assert.ok(verifyEvent(event), library);
    await client.close();
  }
});

test('a token redeemed before the kill stays redeemed', async () => {
  for (const { library, url } of paired) {
    const thief = await openClient(library, url, newClientKey());
    const refused = await thief.connect().then(
      () => 'accepted',
      (error) => String(error),
    );
    assert.match(refused, 'token already redeemed');
    await thief.close();
  }
});

test.run();
