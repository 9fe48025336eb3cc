// deadline: 120 s
/**
 * One request, however it comes again: the same event over every relay, in new envelopes of new dates over every relay,
 * and all of that once more after a restart. It is signed once and counted once (docs/PROTOCOL.md, replays).
 */
import { generateSecretKey, verifyEvent } from 'nostr-tools';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { SignedEvent } from '../support/clients.ts';
import { TestDaemon } from '../support/daemon.ts';
import { auditRows, usesCounted } from '../support/database.ts';
import { dropped } from '../support/metrics.ts';
import { OutsideRelay } from '../support/outside-relay.ts';
import { adminOf, createPolicy, issueToken } from '../support/provision.ts';
import { parseBunkerUrl, RpcClient } from '../support/rpc.ts';
import { until } from '../support/until.ts';

const OUTSIDE = 4;
const outside = Array.from({ length: OUTSIDE }, () => new OutsideRelay());
let daemon: TestDaemon;
test.after(async () => {
  await daemon?.remove();
  for (const relay of outside) await relay.stop();
});

const now = () => Math.floor(Date.now() / 1000);

async function ready(): Promise<void> {
  await until('every relay is ready', async () => {
    const { relays } = (await (await fetch(daemon.quickstart.health_url)).json()) as { relays: object };
    return Object.values(relays).filter((state) => state === 'ready').length >= OUTSIDE;
  });
}

test('over all relays, in new envelopes, after a restart: one signature, one use', async () => {
  for (const relay of outside) await relay.start();
  daemon = new TestDaemon({ config: { nostr: { relays: outside.map(({ url }) => url) } } });
  await daemon.start();
  await ready();
  const admin = await adminOf(daemon);
  const policy = await createPolicy(admin, 'counted', [{ method: 'sign_event', kind: 1, use_count: 100 }]);
  const { pubkey, secret } = parseBunkerUrl((await issueToken(admin, 'demo', policy)).bunker_url);
  admin.close();
  const secretKey = generateSecretKey();
  const everywhere = () =>
    Promise.all(
      [daemon.quickstart.relay, ...outside.map(({ url }) => url)].map((url) =>
        new RpcClient(secretKey, pubkey).open(url),
      ),
    );
  let clients = await everywhere();
  const [first] = clients as [RpcClient];
  assert.is(await first.result('connect', [pubkey, secret]), 'ack');

  const params = [JSON.stringify({ kind: 1, content: crypto.randomUUID(), tags: [], created_at: now() })];
  const sent = first.request('sign_event', params, { id: 'one' });
  let copies = 0;
  const repeat = async () => {
    for (const client of clients) await client.submit(sent.event);
    copies += clients.length;
  };
  /** The client asks again, with a date that is not of its first try. */
  const again = async () => {
    const answers = [];
    for (const [i, client] of clients.entries()) {
      answers.push((await client.call('sign_event', params, { id: 'one', createdAt: now() - i - 2 })).result);
    }
    return answers.map((answer) => JSON.parse(answer) as SignedEvent);
  };

  const answered = first.next('one');
  await repeat();
  const event = JSON.parse((await answered).result) as SignedEvent;
  assert.ok(verifyEvent(event));
  const retried = await again();
  assert.equal(new Set(retried.map(({ sig }) => sig)), new Set([event.sig]), 'the very same signature');
  await repeat();
  assert.is(usesCounted(daemon, policy), 1);

  for (const client of clients) client.close();
  await daemon.kill();
  await daemon.start();
  await ready();
  clients = await everywhere();
  const before = await dropped(daemon, 'replay');
  await repeat();
  await until('the copies are dropped', async () => (await dropped(daemon, 'replay')) > before);
  assert.equal(
    clients.flatMap(({ received }) => received),
    [],
    'silence',
  );
  const later = await again();
  assert.equal(new Set(later.map(({ id }) => id)), new Set([event.id]), 'of the very same event');
  const rows = auditRows(daemon, first.pubkey, 'sign_event');
  assert.is(rows.filter(({ params }) => params.retry === false).length, 1, 'recorded once, besides its retries');
  assert.equal(new Set(rows.map(({ params }) => params.event)), new Set([event.id]));
  assert.is(usesCounted(daemon, policy), 1);
  for (const client of clients) client.close();
  const envelopes = retried.length + later.length;
  console.log(
    `R14 ${JSON.stringify({ relays: clients.length, copies, envelopes, restarts: 1, signatures: 1, uses: 1 })}`,
  );
});

test.run();
