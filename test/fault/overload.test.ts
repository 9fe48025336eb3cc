// deadline: 60 s
/**
 * Ten times what a key can do, for a second: what waits is bounded, whoever is turned away is told so, an admin is
 * heard meanwhile, and what was signed is what was recorded. The curve is pure JavaScript, so that a test can ask for
 * ten times what it does.
 */
import { verifyEvent } from 'nostr-tools';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { TestDaemon } from '../support/daemon.ts';
import { auditRows } from '../support/database.ts';
import { printFigures } from '../support/figures.ts';
import { dropped, metric } from '../support/metrics.ts';
import { adminOf, pair } from '../support/provision.ts';
import type { RpcClient } from '../support/rpc.ts';
import { until } from '../support/until.ts';

const QUEUE = 64;
const CLIENTS = 4;
/** About 100 a second is what a key does with this curve. */
const PER_SECOND = 1000;
const SECONDS = 1;
const REQUESTS = PER_SECOND * SECONDS;
const EVERY_MS = 20;

const daemon = new TestDaemon({
  env: {
    REDOUBT_CURVE: 'noble',
    REDOUBT_KEYSTORE_LOG_N: '14',
    REDOUBT_LIMITS_KEY_QUEUE: `${QUEUE}`,
    REDOUBT_LIMITS_CLIENT_RATE: '100000',
    REDOUBT_LIMITS_CLIENT_BURST: '100000',
    REDOUBT_LIMITS_STRANGERS_PER_KEY: '1000',
    REDOUBT_LIMITS_STRANGERS_TOTAL: '1000',
  },
});
let admin: RpcClient;
test.before(async () => {
  await daemon.start();
  admin = await adminOf(daemon);
});
test.after(async () => {
  admin?.close();
  await daemon.remove();
});

const template = () =>
  JSON.stringify({ kind: 1, content: crypto.randomUUID(), tags: [], created_at: Math.floor(Date.now() / 1000) });

test('overload is answered: queues are bounded, the rest is told `overloaded`, and lock_key is carried out meanwhile', async () => {
  await admin.result('create_new_key', ['other', 'a passphrase of the other key']);
  const clients: RpcClient[] = [];
  for (let i = 0; i < CLIENTS; i++) {
    clients.push((await pair(admin, daemon.quickstart, [{ method: 'sign_event', kind: 1 }])).client);
  }
  const other = (await pair(admin, daemon.quickstart, [{ method: 'sign_event', kind: 1 }], 'other')).client;
  for (const client of [...clients, other]) await client.result('sign_event', [template()]);
  const sent = clients.map((client) =>
    Array.from({ length: REQUESTS / CLIENTS }, () => client.request('sign_event', [template()])),
  );
  const lock = admin.request('lock_key', ['other']);
  const before = clients.map(({ received }) => received.length);
  /** Of each client: ids of answers, and of events that the relay says were turned away. */
  const settled = () =>
    clients.reduce(
      (sum, { received, oks }, i) => sum + received.length - before[i]! + oks.filter(([, ok]) => !ok).length,
      0,
    );

  let asked = 0;
  const send = () => {
    const client = asked % CLIENTS;
    clients[client]!.sendEvent(sent[client]![Math.floor(asked / CLIENTS)]!.event);
    asked++;
  };
  const sending = setInterval(() => {
    for (let i = 0; i < (PER_SECOND * EVERY_MS) / 1000 && asked < REQUESTS; i++) send();
  }, EVERY_MS);
  let deepest = 0;
  const watching = setInterval(async () => {
    deepest = Math.max(deepest, await metric(daemon, 'redoubt_queue_depth{queue="keys"}').catch(() => 0));
  }, 5 * EVERY_MS);
  const isTold = () => clients.some(({ received }) => received.some(({ error }) => error === 'overloaded'));
  await until('somebody is told', isTold);
  const askedWhenTold = asked;
  const locked = admin.next(lock.id);
  admin.sendEvent(lock.event);
  assert.is((await locked).error, undefined);
  const askedWhenLocked = asked;
  // An answer costs a signature: who has been told `overloaded` ten times at once is not told again.
  let silent = 0;
  await until('each is answered, turned away or passed over', async () => {
    silent = await dropped(daemon, 'busy');
    return settled() + silent >= REQUESTS;
  }).finally(() => {
    clearInterval(sending);
    clearInterval(watching);
  });

  const answers = clients.flatMap(({ received }, i) => received.slice(before[i]!));
  const signed = answers.filter(({ error }) => error === undefined);
  const overloaded = answers.filter(({ error }) => error === 'overloaded').length;
  const turnedAway = clients.flatMap(({ oks }) => oks.filter(([, ok]) => !ok));
  printFigures('R17', {
    requests: REQUESTS,
    queue: QUEUE,
    deepest,
    signed: signed.length,
    overloaded,
    turnedAway: turnedAway.length,
    silent,
    askedWhenTold,
    askedWhenLocked,
  });
  assert.is(signed.length + overloaded, answers.length, 'nothing else is answered');
  assert.ok(signed.length > 0);
  for (const [, , reason] of turnedAway) assert.match(reason, /^rate-limited: |overloaded|busy/);
  assert.is(settled() + silent, REQUESTS, 'each is told once at most');
  for (const { received, oks } of clients) {
    const isTold =
      received.some(({ error }) => error === 'overloaded') || oks.some(([, , why]) => /overloaded/.test(why));
    assert.ok(isTold, 'each client is told');
  }
  assert.ok(askedWhenTold < REQUESTS && askedWhenLocked < REQUESTS, 'neither was kept waiting for the end of the load');
  assert.ok(deepest > QUEUE / 2 && deepest <= 3 * QUEUE, `${deepest} waited`);
  for (const { result } of signed.slice(0, 20)) assert.ok(verifyEvent(JSON.parse(result)));
  const recorded = clients.reduce((sum, { pubkey }) => sum + auditRows(daemon, pubkey, 'sign_event').length, 0);
  assert.is(recorded, signed.length + CLIENTS);

  // The locked key signs nothing; the other one is well.
  await other.submit(other.request('sign_event', [template()]).event);
  assert.ok(verifyEvent(JSON.parse(await clients[0]!.result('sign_event', [template()]))));
  assert.is(auditRows(daemon, other.pubkey, 'sign_event').length, 1);
  assert.is(await metric(daemon, 'redoubt_queue_depth{queue="keys"}'), 0);
  for (const client of [...clients, other]) client.close();
});

test.run();
