// deadline: 60 s
/**
 * What ends other signers, or has them sign what they must not: each of it tried here, over a relay that verifies nothing
 * and passes everything on, as relays may.
 */
import { randomBytes } from 'node:crypto';
import { generateSecretKey, getPublicKey, verifyEvent } from 'nostr-tools';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { BroadcastRelay } from '../support/broadcast-relay.ts';
import type { SignedEvent } from '../support/clients.ts';
import { TestDaemon } from '../support/daemon.ts';
import { auditRows } from '../support/database.ts';
import { printFigures } from '../support/figures.ts';
import { dropped } from '../support/metrics.ts';
import { adminOf, createPolicy, issueToken } from '../support/provision.ts';
import { parseBunkerUrl, RpcClient } from '../support/rpc.ts';
import { quickFinalize } from '../support/sign.ts';
import { until } from '../support/until.ts';

const MONTH_S = 30 * 86_400;

const relay = new BroadcastRelay();
let daemon: TestDaemon;
let client: RpcClient;
let pid: number;

const now = () => Math.floor(Date.now() / 1000);
const template = () => JSON.stringify({ kind: 1, content: crypto.randomUUID(), tags: [], created_at: now() });
const signatures = () => client.received.filter(({ result }) => result.includes('"sig"')).length;
const recorded = () => auditRows(daemon, client.pubkey, 'sign_event').length;

test.before(async () => {
  await relay.start();
  daemon = new TestDaemon({
    config: { nostr: { relays: [relay.url] } },
    env: {
      REDOUBT_KEYSTORE_LOG_N: '14',
      REDOUBT_LIMITS_STRANGERS_PER_KEY: '1000',
      REDOUBT_LIMITS_STRANGERS_TOTAL: '1000',
    },
  });
  await daemon.start();
  const admin = await adminOf(daemon);
  const policy = await createPolicy(admin, 'signs', [{ method: 'sign_event', kind: 1 }]);
  const { pubkey, secret } = parseBunkerUrl((await issueToken(admin, 'demo', policy)).bunker_url);
  admin.close();
  client = await new RpcClient(generateSecretKey(), pubkey).open(relay.url);
  await ready();
  await client.result('connect', [pubkey, secret]);
});
test.before.each(() => {
  pid = daemon.pid;
});
test.after(async () => {
  client?.close();
  await daemon?.remove();
  await relay.stop();
});

/** The daemon is on the relay. */
const ready = () =>
  until('the relay is ready', async () => {
    const { relays } = (await (await fetch(daemon.quickstart.health_url)).json()) as {
      relays: { [url: string]: string };
    };
    return Object.values(relays).every((state) => state === 'ready');
  });

/** The same process, and it signs. */
async function assertAlive(): Promise<void> {
  assert.equal([daemon.pid, daemon.child.exitCode, daemon.child.signalCode], [pid, null, null]);
  assert.ok(verifyEvent(JSON.parse(await client.result('sign_event', [template()]))));
}

test('one validly signed event with garbage as content, from a key that nobody authorised, harms nothing', async () => {
  const key = generateSecretKey();
  const stranger = new RpcClient(key, client.remote);
  const deep = '['.repeat(20_000);
  const garbage = [
    '',
    'garbage',
    'garbage?iv=garbage',
    'AAAA?iv=AAAA',
    '\u0000\uffff',
    '{"id":"1","method":"sign_event","params":[]}',
    randomBytes(99).toString('base64'),
    Buffer.concat([Buffer.of(2), randomBytes(98)]).toString('base64'),
    Buffer.concat([Buffer.of(1), randomBytes(98)]).toString('base64'),
    ...['null', '7', '[]', '{}', '{"id":{},"method":[],"params":"x"}', deep].map(
      (body) => stranger.request('', [], { body }).event.content,
    ),
    stranger.request('', [], { body: deep, encryption: 'nip04' }).event.content,
  ];
  for (const to of [client.remote, daemon.quickstart.daemon_pubkey]) {
    for (const content of garbage) {
      const event = { kind: to === client.remote ? 24133 : 24134, tags: [['p', to]], content, created_at: now() };
      client.sendEvent(quickFinalize(event, key, getPublicKey(key)));
    }
  }
  await assertAlive();
  const rows = recorded();
  assert.is(auditRows(daemon, getPublicKey(key), 'sign_event').length, 0);
  assert.is(rows, signatures());
});

test('a NIP-44 request is answered, in NIP-44', async () => {
  const { result } = await client.call('sign_event', [template()], { encryption: 'nip44' });
  assert.ok(verifyEvent(JSON.parse(result)));
  assert.is(client.deliveries.at(-1)!.encryption, 'nip44');
  await assertAlive();
});

test('a validly signed event under three forged ids: one signature, for the true one', async () => {
  const before = { signatures: signatures(), rows: recorded() };
  const forged = await dropped(daemon, 'signature');
  const { id, event } = client.request('sign_event', [template()]);
  for (const digit of ['0', '1', '2']) client.sendEvent({ ...event, id: digit.repeat(64) });
  await until('all are dropped', async () => (await dropped(daemon, 'signature')) === forged + 3);
  assert.is(recorded(), before.rows);
  const answered = client.next(id);
  client.sendEvent(event);
  for (const digit of ['3', '4', '5']) client.sendEvent({ ...event, id: digit.repeat(64) });
  assert.ok(verifyEvent(JSON.parse((await answered).result)));
  assert.is((await client.call('ping')).result, 'pong');
  assert.equal(
    { signatures: signatures(), rows: recorded() },
    { signatures: before.signatures + 1, rows: before.rows + 1 },
  );
  await assertAlive();
});

test('a replay after a restart is not signed again', async () => {
  const { id, event } = client.request('sign_event', [template()]);
  const answered = client.next(id);
  client.sendEvent(event);
  assert.ok(verifyEvent(JSON.parse((await answered).result)));
  await daemon.kill();
  await daemon.start();
  await ready();
  const before = { signatures: signatures(), rows: recorded(), answers: client.received.length };
  client.sendEvent(event);
  await until('it is dropped', async () => (await dropped(daemon, 'replay')) > 0);
  assert.equal({ signatures: signatures(), rows: recorded(), answers: client.received.length }, before);
  pid = daemon.pid;
  await assertAlive();
});

test('events dated a month back, or a month on, are not signed', async () => {
  const before = { signatures: signatures(), rows: recorded(), answers: client.received.length };
  const skew = await dropped(daemon, 'skew');
  for (const createdAt of [now() - MONTH_S, now() + MONTH_S]) {
    client.sendEvent(client.request('sign_event', [template()], { createdAt }).event);
  }
  await until('both are dropped', async () => (await dropped(daemon, 'skew')) === skew + 2);
  assert.equal({ signatures: signatures(), rows: recorded(), answers: client.received.length }, before);
  await assertAlive();
});

test('whatever was signed is recorded, by the id of the event that it was signed for', () => {
  const signed = client.received
    .filter(({ result }) => result.includes('"sig"'))
    .map(({ result }) => (JSON.parse(result) as SignedEvent).id);
  const events = auditRows(daemon, client.pubkey, 'sign_event').map(({ params }) => params.event);
  assert.equal(events.sort(), signed.sort());
  printFigures('KNOWN-DEATHS', { knownDeaths: 5, crashes: 0, signed: signed.length, recorded: events.length });
});

test.run();
