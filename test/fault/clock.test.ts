// deadline: 60 s
/**
 * Clocks may jump: by an hour, by a day, on and back, and a token that is good for thirty days. Expiry is compared and
 * never armed, what was refused as expired stays refused, and no envelope is carried out a second time because the day
 * on which it was made has come again.
 */
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { generateSecretKey, verifyEvent } from 'nostr-tools';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { SignedEvent } from '../support/clients.ts';
import { TestDaemon } from '../support/daemon.ts';
import { auditRows, rows } from '../support/database.ts';
import { printFigures } from '../support/figures.ts';
import { dropped } from '../support/metrics.ts';
import { adminOf } from '../support/provision.ts';
import { parseBunkerUrl, RpcClient } from '../support/rpc.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const JUMPS = [HOUR_MS, -HOUR_MS, DAY_MS, -DAY_MS];
const DAYS = 30;

const daemon = new TestDaemon({
  entry: fileURLToPath(new URL('../support/clocked-daemon.ts', import.meta.url)),
  env: { REDOUBT_KEYSTORE_LOG_N: '14' },
});
/** How far the daemon's wall clock is ahead, ms. */
let ahead = 0;
let admin: RpcClient;
const figures = { jumps: 0, replaysRefused: 0, signedTwice: 0, firedEarly: 0, expiredStayedRefused: 0 };

test.before(async () => {
  await daemon.start();
  admin = await adminOf(daemon);
});
test.after(async () => {
  printFigures('R15', figures);
  admin?.close();
  await daemon.remove();
});

const now = () => Math.floor((Date.now() + ahead) / 1000);

/** `set`: the wall clock alone jumps. `advance`: time passes. */
async function move(how: 'set' | 'advance', ms: number): Promise<void> {
  const moved = once(daemon.child, 'message');
  daemon.child.send({ [how]: ms });
  await moved;
  ahead += ms;
}

async function jump(ms: number): Promise<void> {
  await move('set', ms);
  figures.jumps++;
}

async function call(method: string, ...params: unknown[]): Promise<string> {
  const { result, error } = await admin.call(method, params, { createdAt: now() });
  if (error !== undefined) throw new Error(`${method}: ${error}`);
  return result;
}

/** A client whose token expires after so many hours, and its rule after as many. */
async function pairFor(hours: number): Promise<{ client: RpcClient; policy: number }> {
  const name = crypto.randomUUID();
  const expires_at = new Date(Date.now() + ahead + hours * HOUR_MS).toISOString();
  const rules = [
    { method: 'sign_event', kind: 1 },
    { method: 'sign_event', kind: 7, expires_at },
  ];
  await call('create_new_policy', JSON.stringify({ name, rules }));
  const policy = rows<{ id: number }>(daemon, 'SELECT id FROM Policy WHERE name = ?', name)[0]!.id;
  const issued = await call(
    'issue_token',
    JSON.stringify({ key: 'demo', client_name: 'test', policy_id: policy, expires_in_hours: hours }),
  );
  const { pubkey, secret } = parseBunkerUrl(JSON.parse(issued).bunker_url);
  const client = await new RpcClient(generateSecretKey(), pubkey).open(daemon.quickstart.relay);
  const { error } = await client.call('connect', [pubkey, secret], { createdAt: now() });
  assert.is(error, undefined);
  return { client, policy };
}

function request(client: RpcClient, kind = 1) {
  const template = JSON.stringify({ kind, content: crypto.randomUUID(), tags: [], created_at: now() });
  return client.request('sign_event', [template], { createdAt: now() });
}

/** `signed`, or the refusal; the event that carried the request. */
async function sign(client: RpcClient, kind = 1): Promise<{ said: string; envelope: SignedEvent }> {
  const { id, event } = request(client, kind);
  const answered = client.next(id);
  assert.equal((await client.submit(event)).ok, true);
  const { result, error } = await answered;
  if (error === undefined) assert.ok(verifyEvent(JSON.parse(result)));
  return { said: error ?? 'signed', envelope: event };
}

/** None of these is answered again, or recorded again. */
async function assertHandled(client: RpcClient, envelopes: SignedEvent[]): Promise<void> {
  const other = await new RpcClient(client.secretKey, client.remote).open(daemon.quickstart.relay);
  const before = { answers: client.received.length, rows: auditRows(daemon, client.pubkey, 'sign_event').length };
  for (const envelope of envelopes) {
    // A copy that arrives late may be told to be a duplicate that was taken.
    await other.submit(envelope);
    figures.replaysRefused++;
  }
  assert.is((await client.call('ping', [], { createdAt: now() })).result, 'pong');
  const rows = auditRows(daemon, client.pubkey, 'sign_event').length;
  figures.signedTwice += rows - before.rows;
  assert.equal({ answers: client.received.length - 1, rows }, before);
  assert.is(other.received.filter(({ result }) => result.includes('"sig"')).length, 0);
  other.close();
}

test('the clock jumps by an hour and by a day, on and back: requests of now are answered, those of then are not, no replay is', async () => {
  const { client } = await pairFor(DAYS * 24);
  const envelopes: SignedEvent[] = [];
  for (const ms of JUMPS) {
    const stale = request(client).event;
    const { said, envelope } = await sign(client);
    assert.is(said, 'signed');
    envelopes.push(envelope);
    await jump(ms);
    const skew = await dropped(daemon, 'skew');
    assert.is((await client.submit(stale)).ok, false, 'of another hour');
    assert.is(await dropped(daemon, 'skew'), skew + 1);
    await assertHandled(client, envelopes);
    const later = await sign(client);
    assert.is(later.said, 'signed', `after ${ms / HOUR_MS} h`);
    envelopes.push(later.envelope);
    // The hour of the first ones comes again.
    await jump(-ms);
    await assertHandled(client, envelopes);
  }
  assert.is(auditRows(daemon, client.pubkey, 'sign_event').length, 2 * JUMPS.length);
  client.close();
});

test('a token and a rule of thirty days: nothing fires early, and what was refused as expired stays refused', async () => {
  const { client } = await pairFor(DAYS * 24);
  const over = { 1: 'token expired', 7: 'not authorized' };
  const both = async (said: { 1: string; 7: string }) => {
    for (const kind of [1, 7] as const) {
      const found = (await sign(client, kind)).said;
      if (found !== 'signed' && said[kind] === 'signed') figures.firedEarly++;
      assert.is(found, said[kind], `kind ${kind}, ${ahead / DAY_MS} days on`);
    }
  };
  await both({ 1: 'signed', 7: 'signed' });
  for (const ms of JUMPS) {
    await jump(ms);
    await both({ 1: 'signed', 7: 'signed' });
  }
  await move('advance', (DAYS - 1) * DAY_MS);
  await both({ 1: 'signed', 7: 'signed' });
  await move('advance', DAY_MS);
  await both(over);
  for (const ms of [-HOUR_MS, -DAY_MS, -DAYS * DAY_MS, DAY_MS, HOUR_MS]) {
    await jump(ms);
    await both(over);
    figures.expiredStayedRefused += 2;
  }
  client.close();
});

test('a rule that has expired grants nothing more, whatever the clock says afterwards', async () => {
  const { client, policy } = await pairFor(48);
  const expires_at = new Date(Date.now() + ahead + HOUR_MS).toISOString();
  await call('add_policy_rule', policy, JSON.stringify({ method: 'sign_event', kind: 5, expires_at }));
  assert.is((await sign(client, 5)).said, 'signed');
  await jump(HOUR_MS);
  const refused = (await sign(client, 5)).said;
  assert.is.not(refused, 'signed');
  for (const ms of [-HOUR_MS, -DAY_MS, DAY_MS - HOUR_MS]) {
    await jump(ms);
    assert.is((await sign(client, 5)).said, refused);
    assert.is((await sign(client, 1)).said, 'signed', 'the rest of the policy goes on');
    figures.expiredStayedRefused++;
  }
  client.close();
});

test('the daemon is well after all that', async () => {
  assert.is((await fetch(daemon.quickstart.health_url)).status, 200);
  assert.not.match(daemon.output, /"level":"error"/);
});

test.run();
