/**
 * Every bound is kept and told (docs/PROTOCOL.md, limits); locking and revoking hold while requests are in flight. The
 * limits are set low by configuration, so that little is needed to go beyond them.
 */
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { generateSecretKey, verifyEvent } from 'nostr-tools';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { TestDaemon } from '../support/daemon.ts';
import { auditRows, lockDatabase, usesCounted } from '../support/database.ts';
import { printFigures } from '../support/figures.ts';
import { dropped } from '../support/metrics.ts';
import { adminOf, createPolicy, issueToken, type Paired, pair } from '../support/provision.ts';
import { parseBunkerUrl, RpcClient, type RpcResponse } from '../support/rpc.ts';
import { quickFinalize } from '../support/sign.ts';
import { until } from '../support/until.ts';

/** A length that the content of a NIP-04 request can have: 64 characters for 48 bytes, and 28 for the rest. */
const CONTENT = 64 * 313 + 28;
const BURST = 20;
const QUEUE = 8;
const DEADLINE_MS = 1_500;
const KIND = 24133;

const STRANGERS = { REDOUBT_LIMITS_STRANGERS_PER_KEY: '1000', REDOUBT_LIMITS_STRANGERS_TOTAL: '1000' };
/** Low limits for one client. */
const strict = new TestDaemon({
  env: {
    ...STRANGERS,
    REDOUBT_LIMITS_CONTENT: `${CONTENT}`,
    REDOUBT_LIMITS_CLIENT_RATE: '0.01',
    REDOUBT_LIMITS_CLIENT_BURST: `${BURST}`,
    REDOUBT_LIMITS_KEY_QUEUE: '1000',
  },
});
/** A short queue and little time. */
const hurried = new TestDaemon({
  env: {
    ...STRANGERS,
    REDOUBT_LIMITS_CLIENT_RATE: '100000',
    REDOUBT_LIMITS_CLIENT_BURST: '100000',
    REDOUBT_LIMITS_KEY_QUEUE: `${QUEUE}`,
    REDOUBT_LIMITS_REQUEST_DEADLINE: `${DEADLINE_MS}`,
    REDOUBT_KEYSTORE_LOG_N: '14',
  },
});
const admins = new Map<TestDaemon, RpcClient>();

test.before(async () => {
  await Promise.all([strict.start(), hurried.start()]);
  for (const daemon of [strict, hurried]) {
    admins.set(daemon, await adminOf(daemon));
  }
});
test.after(async () => {
  loaded.clear();
  for (const admin of admins.values()) admin.close();
  await Promise.all([strict.remove(), hurried.remove()]);
});

const now = () => Math.floor(Date.now() / 1000);
const template = (kind = 1) => JSON.stringify({ kind, content: crypto.randomUUID(), tags: [], created_at: now() });
const pairWith = (daemon: TestDaemon, uses?: number, key?: string): Promise<Paired> => {
  const rule = { method: 'sign_event', kind: 1, ...(uses === undefined ? {} : { use_count: uses }) };
  return pair(admins.get(daemon)!, daemon.quickstart, [rule], key);
};

test('content of the largest size is taken, one character more is not', async () => {
  const { client } = await pairWith(strict);
  for (const [length, ok] of [
    [CONTENT - 1, true],
    [CONTENT, true],
    [CONTENT + 1, false],
  ] as const) {
    const content = randomBytes(CONTENT).toString('base64').slice(0, length);
    const event = quickFinalize(
      { kind: KIND, tags: [['p', client.remote]], content, created_at: now() },
      client.secretKey,
      client.pubkey,
    );
    const verdict = await client.submit(event);
    assert.is(verdict.ok, ok, `${length} characters: ${verdict.reason}`);
    if (!ok) assert.match(verdict.reason, /content|large/);
  }
  assert.equal(
    client.received.map(({ result }) => result),
    ['ack'],
  );
  client.close();
});

test('a request of the largest size is answered, one block more is not', async () => {
  const { client } = await pairWith(strict);
  for (const [length, answered] of [
    [CONTENT - 64, true],
    [CONTENT, true],
    [CONTENT + 64, false],
  ] as const) {
    const bytes = ((length - 28) / 64) * 48;
    const id = `${length}`;
    const frame = JSON.stringify({ id, method: 'ping', params: [''] });
    // One byte of padding at least.
    const body = JSON.stringify({ id, method: 'ping', params: ['x'.repeat(bytes - 1 - frame.length)] });
    const { event } = client.request('', [], { body, encryption: 'nip04' });
    assert.is(event.content.length, length);
    const response = client.next(id);
    const verdict = await client.submit(event);
    assert.is(verdict.ok, answered, `content of ${length} characters: ${verdict.reason}`);
    if (answered) assert.is((await response).result, 'pong');
  }
  client.close();
});

test('a client that asks too much is told so, and another notices nothing', async () => {
  const [{ client: greedy }, { client: modest }] = [await pairWith(strict), await pairWith(strict)];
  const first = greedy.received.length;
  for (let i = 0; i < 5 * BURST; i++) greedy.sendEvent(greedy.request('ping', []).event);
  for (let i = 0; i < BURST - 1; i++) assert.is(await modest.result('ping'), 'pong');
  const answers = greedy.received.slice(first);
  const limited = answers.filter(({ error }) => error === 'rate limited');
  assert.is(answers.filter(({ result }) => result === 'pong').length, BURST - 1, 'connect was one of the burst');
  assert.ok(limited.length > 0, 'the greedy client was told');
  assert.ok(limited.length < 3 * BURST, 'but not each time: an answer costs a signature');
  assert.is(answers.length, BURST - 1 + limited.length);
  assert.is((await modest.call('ping')).error, 'rate limited', 'the modest client has used up its own burst');
  greedy.close();
  modest.close();
});

test("events that are forged in a client's name soon stop at the gate, and the client is served", async () => {
  const { client } = await pair(admins.get(hurried)!, hurried.quickstart, [{ method: 'sign_event', kind: 1 }]);
  const forger = await new RpcClient(generateSecretKey(), client.remote).open(hurried.quickstart.relay);
  const forge = () => {
    const { event } = client.request('ping', []);
    return forger.submit({ ...event, sig: event.sig.slice(0, -1) + (event.sig.endsWith('0') ? '1' : '0') });
  };
  const before = await dropped(hurried, 'signature');
  const stopped = await dropped(hurried, 'strangers: signature');
  for (let n = 0; n < 10; n++) assert.is((await forge()).ok, false);
  assert.is((await dropped(hurried, 'signature')) - before, 3);
  assert.is((await dropped(hurried, 'strangers: signature')) - stopped, 7);
  assert.is(await client.result('ping'), 'pong');
  client.close();
  forger.close();
});

test('a full queue is told as `overloaded`, and what it holds is carried out', async () => {
  const [one, other] = [await pairWith(hurried), await pairWith(hurried)];
  const unlock = lockDatabase(hurried);
  const held: Promise<RpcResponse>[] = [];
  try {
    // Each of them waits for the database.
    for (let i = 0; i < QUEUE; i++) held.push(one.client.send('sign_event', [template()]).response);
    assert.is((await one.client.call('sign_event', [template()])).error, 'overloaded');
    assert.is((await one.client.call('ping')).error, 'overloaded');
    // The one who fills the queue does not keep the other out.
    assert.is(await other.client.result('ping'), 'pong');
    assert.is(one.client.received.filter(({ result }) => result.includes('"sig"')).length, 0);
  } finally {
    unlock();
  }
  for (const response of held) assert.ok(verifyEvent(JSON.parse((await response).result)));
  assert.is(await one.client.result('ping'), 'pong');
  one.client.close();
  other.client.close();
});

/** One letter for each thread of a process (proc(5)). */
function threadStates(pid: number): string[] {
  const tasks = readdirSync(`/proc/${pid}/task`);
  return tasks.map((task) => /\) (\w)/.exec(readFileSync(`/proc/${pid}/task/${task}/stat`, 'utf8'))![1]!);
}

test('a request whose deadline has passed is not signed, not recorded and not counted', async () => {
  const { client, policy } = await pairWith(hurried, 10);
  const unlock = lockDatabase(hurried);
  const { id, event } = client.request('sign_event', [template()]);
  const response = client.next(id);
  try {
    assert.is((await client.submit(event)).ok, true);
    // The whole process stands still until it is too late; the database is free again when it goes on.
    hurried.child.kill('SIGSTOP');
    await until('every thread stands still', () => threadStates(hurried.pid).every((state) => state === 'T'));
  } finally {
    unlock();
  }
  await new Promise((resolve) => setTimeout(resolve, DEADLINE_MS + 200));
  hurried.child.kill('SIGCONT');
  const { result, error } = await response;
  assert.is(result, '');
  assert.ok(error === 'audit log unavailable' || error === 'request expired', error);
  assert.is(await client.result('ping'), 'pong');
  assert.is(usesCounted(hurried, policy), 0);
  assert.equal(auditRows(hurried, client.pubkey, 'sign_event'), []);
  assert.ok(verifyEvent(JSON.parse(await client.result('sign_event', [template()]))));
  printFigures('R20', { late: 1, signed: 0, recorded: 0, answer: error });
  client.close();
});

const loaded = new Set<RpcClient>();

/** Signs without pause, two at a time, until `loaded` holds the client no more. */
function load(client: RpcClient): void {
  loaded.add(client);
  const lane = async () => {
    while (loaded.has(client)) {
      await Promise.race([client.send('sign_event', [template()]).response, new Promise((r) => setTimeout(r, 200))]);
    }
  };
  void lane();
  void lane();
}

/** When this has come back, everything that the relay sent before on this socket has arrived. */
const flush = (client: RpcClient) => client.submit(quickFinalize(stray(), client.secretKey, client.pubkey));
const stray = () => ({ kind: 1, tags: [['p', 'f'.repeat(64)]], content: crypto.randomUUID(), created_at: now() });

test('after the answer to lock_key nothing is signed, whatever is in flight', async () => {
  const admin = admins.get(hurried)!;
  await admin.result('create_new_key', ['busy', 'a passphrase of the busy key']);
  const clients: RpcClient[] = [];
  for (let i = 0; i < 3; i++) clients.push((await pairWith(hurried, undefined, 'busy')).client);
  clients.forEach(load);
  await until('all sign', () => clients.every(({ received }) => received.length > 20));
  await admin.result('lock_key', ['busy']);

  for (const client of clients) await flush(client);
  const answers = () => clients.map((client) => client.received.length);
  const rows = () => clients.map((client) => auditRows(hurried, client.pubkey, 'sign_event').length);
  const after = { answers: answers(), rows: rows() };
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.equal({ answers: answers(), rows: rows() }, after, 'the load went on, without any answer');

  loaded.clear();
  for (const client of clients) client.close();
  const unlocked = JSON.parse(await admin.result('unlock_key', ['busy', 'a passphrase of the busy key']));
  assert.is(unlocked.success, true);
  const { client: again } = await pairWith(hurried, undefined, 'busy');
  assert.ok(verifyEvent(JSON.parse(await again.result('sign_event', [template()]))));
  again.close();
});

test('after the answer to revoke_token nothing is allowed by it, however much is in flight', async () => {
  const admin = admins.get(hurried)!;
  const policy = await createPolicy(admin, 'revoked under load', [{ method: 'sign_event', kind: 1 }]);
  const { relay } = hurried.quickstart;
  const clients: RpcClient[] = [];
  const tokens: number[] = [];
  for (let i = 0; i < 3; i++) {
    const issued = await issueToken(admin, 'demo', policy);
    const { pubkey, secret } = parseBunkerUrl(issued.bunker_url);
    const client = await new RpcClient(generateSecretKey(), pubkey).open(relay);
    await client.result('connect', [pubkey, secret]);
    clients.push(client);
    tokens.push(issued.id);
  }
  clients.forEach(load);
  await until('all sign', () => clients.every(({ received }) => received.length > 20));
  for (const [i, client] of clients.entries()) {
    await admin.result('revoke_token', [`${tokens[i]}`]);
    const allowed = auditRows(hurried, client.pubkey, 'sign_event').length;
    const refusals = () => client.received.filter(({ error }) => error === 'token revoked').length;
    const before = refusals();
    await until('its requests are refused', () => refusals() > before + 20);
    assert.is(auditRows(hurried, client.pubkey, 'sign_event').length, allowed);
    // The others go on.
    for (const other of clients.slice(i + 1)) {
      const signed = other.received.length;
      await until('another client is served', () => other.received.length > signed);
      assert.is(other.received.at(-1)!.error, undefined);
    }
  }
  loaded.clear();
  for (const client of clients) client.close();
});

test.run();
