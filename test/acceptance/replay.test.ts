/**
 * Replays and retries are harmless: relays exist that store these events and send them again, and clients repeat a
 * request under the same id (docs/PROTOCOL.md, replays).
 */
import { verifyEvent } from 'nostr-tools';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { SignedEvent } from '../support/clients.ts';
import { TestDaemon } from '../support/daemon.ts';
import { auditRows, usesCounted } from '../support/database.ts';
import { dropped } from '../support/metrics.ts';
import { adminOf, type Paired, pair } from '../support/provision.ts';
import { RpcClient } from '../support/rpc.ts';
import { until } from '../support/until.ts';

const daemon = new TestDaemon({
  env: { REDOUBT_LIMITS_STRANGERS_PER_KEY: '1000', REDOUBT_LIMITS_STRANGERS_TOTAL: '1000' },
});
let admin: RpcClient;

test.before(async () => {
  await daemon.start();
  admin = await adminOf(daemon);
});
test.after(async () => {
  admin?.close();
  await daemon.remove();
  console.log(`R14 ${JSON.stringify(figures)}`);
});

/** Of all tests here: clients with a policy of their own, and what these signed, recorded and counted. */
const figures = { cases: 0, signatures: 0, uses: 0 };

const SIGN_COUNTED = [{ method: 'sign_event', kind: 1, use_count: 100 }];
const now = () => Math.floor(Date.now() / 1000);
const template = () => JSON.stringify({ kind: 1, content: crypto.randomUUID(), tags: [], created_at: now() });
const open = (client: RpcClient) => new RpcClient(client.secretKey, client.remote).open(daemon.quickstart.relay);
const signatures = (client: RpcClient) =>
  client.received
    .filter(({ result }) => result.includes('"sig"'))
    .map(({ result }) => JSON.parse(result).sig as string);

/** What was signed, recorded and counted for a client that has a policy of its own. */
function assertOnce({ client, policy }: Paired, times = 1): void {
  assert.is(auditRows(daemon, client.pubkey, 'sign_event').length, times, 'audit rows');
  assert.is(usesCounted(daemon, policy), times, 'uses counted');
  figures.cases++;
  figures.signatures += new Set(auditRows(daemon, client.pubkey, 'sign_event').map(({ params }) => params.event)).size;
  figures.uses += usesCounted(daemon, policy);
}

test('the same event, over one socket and over two, is one request', async () => {
  const paired = await pair(admin, daemon.quickstart, SIGN_COUNTED);
  const { client } = paired;
  const second = await open(client);
  const { id, event } = client.request('sign_event', [template()]);
  const answered = client.next(id);
  const verdicts = [client.submit(event), second.submit(event), client.submit({ ...event })];
  assert.ok(verifyEvent(JSON.parse((await answered).result)));
  await Promise.all(verdicts);
  for (const socket of [client, second]) await socket.submit(event);
  assert.is(await client.result('ping'), 'pong');
  assert.is(signatures(client).length, 1);
  assertOnce(paired);
  for (const socket of [client, second]) socket.close();
});

test('a retry under the same id, in a new envelope, gets the same signature and is not counted again', async () => {
  const paired = await pair(admin, daemon.quickstart, SIGN_COUNTED);
  const { client } = paired;
  // No time in the template: the signer has put it in, and must put in the same.
  const params = [JSON.stringify({ kind: 1, content: 'again', tags: [] })];
  const first = await client.call('sign_event', params, { id: 'one' });
  await new Promise((resolve) => setTimeout(resolve, 1_100));
  const again = await client.call('sign_event', params, { id: 'one', createdAt: now() - 5 });
  const third = await client.call('sign_event', params, { id: 'one', encryption: 'nip04' });
  assert.equal(again, first);
  assert.equal(third, first);
  assertOnce(paired);
  client.close();
});

test('a template without a time, asked for again when its response is gone, is counted as the new event that it is', async () => {
  await admin.result('create_new_key', ['undated', 'its passphrase']);
  const paired = await pair(admin, daemon.quickstart, [{ method: 'sign_event', kind: 1, use_count: 2 }], 'undated');
  const { client } = paired;
  const params = [JSON.stringify({ kind: 1, content: 'no time', tags: [] })];
  const ask = () => client.call('sign_event', params, { id: 'undated' });
  const forget = async () => {
    await admin.result('lock_key', ['undated']);
    await admin.result('unlock_key', ['undated', 'its passphrase']);
    await new Promise((resolve) => setTimeout(resolve, 1_100));
  };
  const ids = new Set<string>();
  for (let i = 0; i < 2; i++) {
    const first = await ask();
    ids.add((JSON.parse(first.result) as SignedEvent).id);
    assert.equal(await ask(), first, 'while the response is kept it is a retry');
    await forget();
  }
  assert.is((await ask()).error, 'usage limit reached');
  assert.is(ids.size, 2);
  assertOnce(paired, 2);
  client.close();
});

test('retries that overtake the first try are answered alike and counted once', async () => {
  const paired = await pair(admin, daemon.quickstart, SIGN_COUNTED);
  const { client } = paired;
  const params = [template()];
  const sent = Array.from({ length: 8 }, (_, i) =>
    client.request('sign_event', params, { id: 'rush', createdAt: now() - i }),
  );
  for (const { event } of sent) client.sendEvent(event);
  await until('all are answered', () => client.received.filter(({ id }) => id === 'rush').length === sent.length);
  assert.is(new Set(signatures(client)).size, 1);
  assertOnce(paired);
  client.close();
});

test('the same id with another body is another request', async () => {
  const paired = await pair(admin, daemon.quickstart, SIGN_COUNTED);
  const { client } = paired;
  const events = [];
  for (let i = 0; i < 3; i++) {
    events.push(JSON.parse((await client.call('sign_event', [template()], { id: 'same' })).result) as SignedEvent);
  }
  assert.is(new Set(events.map((event) => event.sig)).size, 3);
  assert.ok(events.every(verifyEvent));
  assertOnce(paired, 3);
  client.close();
});

test('the same body from another client is another request', async () => {
  const one = await pair(admin, daemon.quickstart, SIGN_COUNTED);
  const other = await pair(admin, daemon.quickstart, SIGN_COUNTED);
  const params = [template()];
  for (const { client } of [one, other]) await client.call('sign_event', params, { id: 'common' });
  assertOnce(one);
  assertOnce(other);
  one.client.close();
  other.client.close();
});

test('a request that was refused is new when it is tried again', async () => {
  const paired = await pair(admin, daemon.quickstart, [{ method: 'sign_event', kind: 1, use_count: 1 }]);
  const { client } = paired;
  await client.result('sign_event', [template()]);
  const params = [template()];
  for (let i = 0; i < 3; i++) {
    assert.is((await client.call('sign_event', params, { id: 'no' })).error, 'usage limit reached');
  }
  assertOnce(paired);
  client.close();
});

test('a revoked client that repeats an answered request is refused', async () => {
  const paired = await pair(admin, daemon.quickstart, SIGN_COUNTED);
  const { client, token } = paired;
  const params = [template()];
  await client.call('sign_event', params, { id: 'late' });
  await admin.result('revoke_token', [String(token.id)]);
  assert.equal(await client.call('sign_event', params, { id: 'late' }), {
    id: 'late',
    result: '',
    error: 'token revoked',
  });
  assertOnce(paired);
  client.close();
});

test('a forged id on a validly signed event is not taken, whichever', async () => {
  const paired = await pair(admin, daemon.quickstart, SIGN_COUNTED);
  const { client } = paired;
  const { id, event } = client.request('sign_event', [template()]);
  const forged = ['0', '1', '2'].map((digit) => ({ ...event, id: digit.repeat(64) }));
  for (const copy of forged) assert.is((await client.submit(copy)).ok, false);
  const answered = client.next(id);
  assert.is((await client.submit(event)).ok, true);
  assert.ok(verifyEvent(JSON.parse((await answered).result)));
  for (const copy of forged) assert.is((await client.submit(copy)).ok, false);
  assert.is(await client.result('ping'), 'pong');
  assert.is(signatures(client).length, 1);
  assertOnce(paired);
  client.close();
});

test('an event with a false signature does not suppress the true one, sent before it or with it', async () => {
  const paired = await pair(admin, daemon.quickstart, SIGN_COUNTED);
  const { client } = paired;
  const attacker = await open(client);
  for (const together of [false, true]) {
    const { id, event } = client.request('sign_event', [template()]);
    const sig = event.sig.replace(/^.{8}/, event.sig.startsWith('00000000') ? '11111111' : '00000000');
    const answered = client.next(id);
    const judged = attacker.submit({ ...event, sig });
    if (!together) assert.is((await judged).ok, false);
    assert.is((await client.submit(event)).ok, true);
    assert.is((await judged).ok, false);
    assert.ok(verifyEvent(JSON.parse((await answered).result)));
  }
  assertOnce(paired, 2);
  client.close();
  attacker.close();
});

test('events of long ago or of another day are not answered; those within the allowed skew are', async () => {
  const paired = await pair(admin, daemon.quickstart, SIGN_COUNTED);
  const { client } = paired;
  const far = [-30 * 86_400, -86_400, -3600, -601, +604, 3600, 86_400, 30 * 86_400];
  const before = await dropped(daemon, 'skew');
  for (const offset of far) {
    const { event } = client.request('sign_event', [template()], { createdAt: now() + offset });
    assert.is((await client.submit(event)).ok, false, `${offset} s`);
  }
  assert.is(await dropped(daemon, 'skew'), before + far.length);
  assert.equal(signatures(client), []);
  const near = [-596, -60, 60, 599];
  for (const offset of near) {
    const { response } = client.send('sign_event', [template()], { createdAt: now() + offset });
    assert.ok(verifyEvent(JSON.parse((await response).result)), `${offset} s`);
  }
  assertOnce(paired, near.length);
  client.close();
});

test('after kill -9 and a start an old event is silence, and an old request is not counted again', async () => {
  const paired = await pair(admin, daemon.quickstart, SIGN_COUNTED);
  const { client } = paired;
  const params = [template()];
  const sent = client.request('sign_event', params, { id: 'before' });
  const answered = client.next('before');
  client.sendEvent(sent.event);
  const first = JSON.parse((await answered).result) as SignedEvent;
  admin.close();
  client.close();
  await daemon.kill();
  await daemon.start();

  const back = await open(client);
  const before = await dropped(daemon, 'replay');
  await back.submit(sent.event);
  await until('the event is dropped', async () => (await dropped(daemon, 'replay')) > before);
  assert.equal(back.received, []);
  assertOnce(paired);

  // The client itself asks again, in a new envelope: it gets its answer, for the same event.
  const again = JSON.parse((await back.call('sign_event', params, { id: 'before' })).result) as SignedEvent;
  assert.is(again.id, first.id);
  assert.ok(verifyEvent(again));
  assert.is(usesCounted(daemon, paired.policy), 1);
  await back.submit(sent.event);

  const next = JSON.parse((await back.call('sign_event', [template()])).result) as SignedEvent;
  assert.is.not(next.id, first.id);
  assert.is(usesCounted(daemon, paired.policy), 2);
  assert.equal(
    auditRows(daemon, client.pubkey, 'sign_event').map(({ params }) => params.retry),
    [false, true, false],
  );
  assert.is(signatures(back).length, 2);
  back.close();
});

test.run();
