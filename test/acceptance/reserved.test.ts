// deadline: 90 s
/** No key is an admin's, or the daemon's own: a client that signs with it could administrate (docs/POLICY.md). */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { generateSecretKey, getPublicKey, nip19 } from 'nostr-tools';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { runCli } from '../support/cli.ts';
import { ProductionDaemon } from '../support/production.ts';
import type { RpcClient } from '../support/rpc.ts';

const daemon = new ProductionDaemon();
const alice = generateSecretKey();
const npub = nip19.npubEncode(getPublicKey(alice));
const npubs = [nip19.npubEncode(getPublicKey(daemon.admin)), npub];
const adminKey = Buffer.from(daemon.key).toString('hex');
const HELD = `${npub} is an admin's or the daemon's, and key alice too, whose clients could administrate`;
let admin: RpcClient;

test.before(async () => {
  daemon.write();
  await daemon.start();
  admin = await daemon.openAdmin();
  await admin.result('create_new_key', ['alice', 'a passphrase', nip19.nsecEncode(alice)]);
});
test.after(async () => {
  admin?.close();
  await daemon.remove();
});

test("an admin's key is not taken in, nor the daemon's own, and leaves no file", async () => {
  for (const key of [daemon.admin, daemon.key]) {
    const made = await admin.call('create_new_key', ['not mine', 'a passphrase', nip19.nsecEncode(key)]);
    assert.match(made.error ?? '', "this key is an admin's or the daemon's own");
    assert.not.ok(existsSync(join(daemon.data, 'keystore', `${getPublicKey(key)}.json`)));
  }
  assert.not.match(await admin.result('get_keys'), 'not mine');
});

test('a reload that makes a key an admin changes nothing', async () => {
  daemon.write({ admin: { key: adminKey, npubs }, redoubt: { limits: { clientRate: 7 } } });
  const { level, msg } = await daemon.reload();
  assert.is(level, 'error');
  assert.match(msg, `reload: nothing was changed: ${HELD}`);
  const late = await daemon.openAdmin(alice);
  assert.match((await late.call('get_keys')).error ?? '', 'not designated');
  late.close();
  assert.match(await admin.result('get_keys'), 'alice');
});

test('a start with such an admin is refused, until the key is deleted', async () => {
  await daemon.stop();
  const refused = await runCli(['start', '--config', daemon.config], { env: { REDOUBT_LOG_LEVEL: 'error' } });
  assert.is(refused.code, 78);
  assert.match(refused.stderr, `redoubt: ${HELD}`);

  daemon.write();
  await daemon.start();
  admin.close();
  admin = await daemon.openAdmin();
  await admin.result('delete_key', ['alice']);
  daemon.write({ admin: { key: adminKey, npubs } });
  assert.is((await daemon.reload()).changed, 'admins');
  const late = await daemon.openAdmin(alice);
  assert.is(await late.result('ping'), 'ok');
  late.close();
});

test.run();
