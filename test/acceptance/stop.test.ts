// deadline: 90 s
/** The end of a daemon under load, and what systemd hears of its life. */
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { verifyEvent } from 'nostr-tools';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isInstalled } from '../runner/lacks.ts';
import { TestDaemon } from '../support/daemon.ts';
import { auditRows, lockDatabase } from '../support/database.ts';
import { DatagramListener } from '../support/datagram-listener.ts';
import { adminOf, type Paired, pair } from '../support/provision.ts';
import { until } from '../support/until.ts';

const IN_FLIGHT = 100;
const daemon = new TestDaemon({
  env: {
    REDOUBT_KEYSTORE_LOG_N: '14',
    REDOUBT_LIMITS_KEY_QUEUE: String(2 * IN_FLIGHT),
    REDOUBT_LIMITS_CLIENT_RATE: '100000',
    REDOUBT_LIMITS_CLIENT_BURST: '100000',
  },
});

test.after(() => daemon.remove());

async function pairClient(): Promise<Paired> {
  const admin = await adminOf(daemon);
  const paired = await pair(admin, daemon.quickstart, [{ method: 'sign_event', kind: 1 }]);
  admin.close();
  return paired;
}
const note = () =>
  JSON.stringify({ kind: 1, content: crypto.randomUUID(), tags: [], created_at: Math.floor(Date.now() / 1000) });

test(`SIGTERM with ${IN_FLIGHT} requests in flight: what was recorded was answered, and what was not taken was refused`, async () => {
  await daemon.start();
  const { client } = await pairClient();
  const sent = Array.from({ length: IN_FLIGHT }, () => client.request('sign_event', [note()]));
  const exited = once(daemon.child, 'exit');
  for (const { event } of sent) client.sendEvent(event);
  // Some have been answered by now, some are at work, some have not been read.
  await Promise.race(sent.map(({ id }) => client.next(id)));
  daemon.child.kill('SIGTERM');
  assert.equal(await exited, [0, null]);
  await until('the relay is gone', () => client.socket.readyState === client.socket.CLOSED);

  const answered = new Map(client.received.map(({ id, result }) => [id, result]));
  const signed = sent.filter(({ id }) => answered.get(id));
  for (const { id } of signed) assert.ok(verifyEvent(JSON.parse(answered.get(id)!)));
  const refused = new Set(client.oks.filter(([, ok]) => !ok).map(([id]) => id));
  const told = new Set(client.oks.map(([id]) => id));
  for (const { id, event } of sent) {
    if (answered.has(id)) assert.not.ok(refused.has(event.id), 'answered and refused');
    else assert.ok(refused.has(event.id) || !told.has(event.id), 'told that it was taken, and not answered');
  }
  assert.is(auditRows(daemon, client.pubkey, 'sign_event').length, signed.length, 'each signature is recorded');
  assert.ok(signed.length > 0);
});

test('who waits for an admin is refused when it stops', async () => {
  await daemon.start({ REDOUBT_APPROVAL_TIMEOUT: '30000' });
  const { client } = await pairClient();
  const admin = await adminOf(daemon);
  const { id, event } = client.request('sign_event', [note().replace('"kind":1', '"kind":7')]);
  client.sendEvent(event);
  await until('an admin is asked', () => admin.deliveries.some(({ text }) => text.includes('"acl"')));
  assert.is(await daemon.stop(), 0);
  await until('the relay is gone', () => client.socket.readyState === client.socket.CLOSED);
  assert.is(client.received.find((answer) => answer.id === id)?.error, 'not authorized');
  admin.close();
});

test('a second signal ends it at once, and releases the lock', async () => {
  await daemon.start();
  const { client } = await pairClient();
  const unlock = lockDatabase(daemon);
  try {
    const { event } = client.request('sign_event', [note()]);
    assert.ok((await client.submit(event)).ok);
    const printed = daemon.output.length;
    daemon.child.kill('SIGTERM');
    await until('it has begun to stop', () => daemon.output.slice(printed).includes('SIGTERM: stopping'));
    assert.is(daemon.child.exitCode, null);
    const exited = once(daemon.child, 'exit');
    daemon.child.kill('SIGINT');
    assert.equal(await exited, [1, null]);
    assert.match(daemon.output.slice(printed), 'SIGINT again: ending at once');
    assert.not.ok(readdirSync(daemon.data).includes('redoubt.lock'));
    assert.is(client.received.filter(({ result }) => result.includes('"sig"')).length, 0);
  } finally {
    unlock();
    client.close();
  }
});

const python = isInstalled('python3') ? test : test.skip;
python('systemd is told of readiness, signs of life and the stop', async () => {
  const path = join(daemon.data, 'notify');
  const listener = await new DatagramListener(path).start();
  const service = new TestDaemon({ data: daemon.data, env: { NOTIFY_SOCKET: path, WATCHDOG_USEC: '200000' } });
  try {
    await service.start();
    await until('it is ready', () => listener.heard.includes('READY=1 STATUS=takes requests\n'));
    assert.is((await fetch(service.quickstart.health_url)).status, 200);
    await until('it lives', () => (listener.heard.match(/^WATCHDOG=1$/gm) ?? []).length >= 3);
    assert.is(await service.stop(), 0);
    await until('it has stopped', () => listener.heard.includes('STOPPING=1'));
    assert.is(listener.heard.match(/READY=1/g)?.length, 1);
  } finally {
    await service.stop();
    await listener.stop();
  }
});

test.run();
