// deadline: 120 s
/** A key with more clients than the main thread holds: each is known all the same, and nobody else is. */
import { generateSecretKey, verifyEvent } from 'nostr-tools';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { TestDaemon } from '../support/daemon.ts';
import { change } from '../support/database.ts';
import { adminOf, pair } from '../support/provision.ts';
import { RpcClient } from '../support/rpc.ts';

const KEY = 'demo';
const OTHERS = 10_500;
const RULES = [{ method: 'sign_event', kind: 1 }];
const daemon = new TestDaemon();

test.after(() => daemon.remove());

const template = () =>
  JSON.stringify({ kind: 1, content: crypto.randomUUID(), tags: [], created_at: Math.floor(Date.now() / 1000) });
const again = ({ secretKey, remote }: RpcClient) => new RpcClient(secretKey, remote).open(daemon.quickstart.relay);
const signs = async (client: RpcClient) =>
  assert.ok(verifyEvent(JSON.parse(await client.result('sign_event', [template()]))));

test('a client among very many signs after a restart, a new one is bound, a revoked one reads so, a stranger nothing', async () => {
  await daemon.start();
  const admin = await adminOf(daemon);
  const { client } = await pair(admin, daemon.quickstart, RULES);
  const { client: revoked } = await pair(admin, daemon.quickstart, RULES);
  const users = JSON.parse(await admin.result('get_key_users', [KEY])) as { id: number; pubkey: string }[];
  await admin.result('revoke_user', [String(users.find(({ pubkey }) => pubkey === revoked.pubkey)!.id)]);
  for (const one of [client, revoked]) one.close();
  admin.close();
  await daemon.kill();
  const sql = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${OTHERS})
    INSERT INTO "KeyUser" (keyName, userPubkey) SELECT ?, lower(hex(randomblob(32))) FROM n`;
  assert.is(change(daemon, sql, KEY), OTHERS);
  await daemon.start();

  const back = await again(client);
  await Promise.all(Array.from({ length: 5 }, () => signs(back)));
  const refused = await again(revoked);
  assert.is((await refused.call('sign_event', [template()])).error, 'revoked');
  const stranger = await new RpcClient(generateSecretKey(), client.remote).open(daemon.quickstart.relay);
  const { id, event } = stranger.request('sign_event', [template()]);
  const answered = stranger.next(id).then(() => 'answered');
  await stranger.submit(event);
  await signs(back);
  assert.is(await Promise.race([answered, Promise.resolve('silence')]), 'silence');

  const second = await adminOf(daemon);
  const { client: late } = await pair(second, daemon.quickstart, RULES);
  await signs(late);
  for (const one of [back, refused, stranger, late, second]) one.close();
});

test.run();
