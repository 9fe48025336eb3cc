import { createConnection } from 'node:net';
import { verifyEvent } from 'nostr-tools/pure';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { systemClock } from '../../src/actor/clock.ts';
import { EmbeddedRelay, type EmbeddedRelayOptions } from '../../src/relay/embedded.ts';
import type { EmbeddedLimits } from '../../src/relay/embedded-limits.ts';
import { REQUEST_LIMIT } from '../../src/relay/frame.ts';
import { someone, until } from './events.ts';
import { RawClient } from './raw-client.ts';

const alice = someone();
const bob = someone();

let relay: EmbeddedRelay;
let clients: RawClient[] = [];

async function start(limits: Partial<EmbeddedLimits> = {}, options: Partial<EmbeddedRelayOptions> = {}): Promise<void> {
  relay = new EmbeddedRelay({
    port: 0,
    clock: systemClock,
    random: Math.random,
    isOurs: () => false,
    verify: async (raw) => verifyEvent(JSON.parse(raw)),
    software: { name: 'redoubt', version: '1.2.3' },
    limits: { tickMs: 10, ...limits },
    ...options,
  });
  await relay.start();
}

async function connect(): Promise<RawClient> {
  const client = await RawClient.connect(relay.url!);
  clients.push(client);
  return client;
}

/** Why a subscription is closed. */
async function refused(client: RawClient, id: string, ...filters: object[]): Promise<string> {
  client.send(['REQ', id, ...filters]);
  await client.settled();
  const closed = client.frames.find((frame) => frame[0] === 'CLOSED' && frame[1] === id);
  return String(closed?.[2]);
}

const shares = suite('what strangers may take of the embedded relay');

shares.after.each(async () => {
  for (const client of clients) client.close();
  clients = [];
  await relay.close();
});

shares('a value of a tag in a filter is bounded', async () => {
  await start();
  const client = await connect();
  await client.subscribe('fits', { '#t': ['x'.repeat(1024)] });
  assert.match(await refused(client, 'longer', { '#t': ['x'.repeat(1025)] }), /^invalid: .* 1024 characters/);
});

shares('what the filters of one connection take is bounded, and free again after CLOSE', async () => {
  await start({ filterBytes: 5_000 });
  const client = await connect();
  await client.subscribe('large', { '#t': ['x'.repeat(1000)] });
  assert.match(await refused(client, 'more', { '#t': ['y'.repeat(1000)] }), /^error: .* more than 5000 bytes/);
  client.send(['CLOSE', 'large']);
  await client.subscribe('more', { '#t': ['y'.repeat(1000)] });
});

shares('where the filters of all take too much, who holds the most gives way', async () => {
  await start({ allFilterBytes: 10_000 });
  const [large, small] = [await connect(), await connect()];
  await large.subscribe('one', { '#t': ['x'.repeat(1000)] });
  await large.subscribe('two', { '#t': ['y'.repeat(1000)] });
  assert.match(await refused(large, 'three', { '#t': ['z'.repeat(1000)] }), /^error: the filters of all connections/);
  await small.subscribe('s', { '#t': ['z'.repeat(1000)] });
  await small.subscribe('t', { '#p': [bob.pubkey] });
  await small.subscribe('u', { kinds: [24133] });
  await until(() => large.closed !== null);
  assert.is(relay.counts.values['embedded: closed for filters'], 1);
  assert.is(relay.connections, 1);
});

shares('filters that match nearly everything are few on one connection', async () => {
  await start({ openFilters: 2 });
  const client = await connect();
  await client.subscribe('two', { kinds: [24133] }, {});
  assert.match(await refused(client, 'third', { since: 0 }), /^error: .* without ids, authors or tags/);
  await client.subscribe('named', { '#p': [bob.pubkey] }, { authors: [bob.pubkey] }, { ids: [] }, { '#e': ['x'] });
  client.send(['CLOSE', 'two']);
  await client.subscribe('third', {});
});

shares('an event that would become too much goes to each connection once', async () => {
  await start({ fanOut: 10_000 });
  const [many, one] = [await connect(), await connect()];
  for (const id of ['a', 'b', 'c']) await many.subscribe(id, { '#p': [bob.pubkey] });
  await one.subscribe('s', { '#p': [bob.pubkey] });
  const [small, large] = [alice.event(bob.pubkey), alice.event(bob.pubkey, { content: 'x'.repeat(5000) })];
  assert.is(relay.inject(small.raw, small.head), 4);
  relay.inject(large.raw, large.head);
  await Promise.all([many.settled(), one.settled()]);
  const got = (client: RawClient) => client.frames.filter((frame) => frame[0] === 'EVENT').length;
  assert.equal([got(many), got(one)], [4, 2]);
});

shares('where too much waits for all, whoever reads least is put out', async () => {
  await start({ allBuffered: 400_000, maxBuffered: Number.MAX_SAFE_INTEGER });
  const stalled = await Promise.all([connect(), connect(), connect()]);
  const reader = await connect();
  for (const client of [...stalled, reader]) await client.subscribe('s', { '#p': [bob.pubkey] });
  for (const client of stalled) client.stall();
  const { head, raw } = alice.event(bob.pubkey, { content: 'x'.repeat(50_000) });
  // The system's buffers, which fill first, hold some MiB.
  for (let sent = 0; sent < 400 && relay.connections > 1; ) {
    relay.inject(raw, head);
    sent++;
    await until(() => reader.events('s').length === sent);
  }
  assert.is(relay.connections, 1);
  assert.is(reader.closed, null);
  assert.is(relay.counts.values['embedded: closed for not reading'], 3);
});

shares('a REQ is shorter than an event may be', async () => {
  await start();
  const client = await connect();
  client.send('["REQ","fits",{}]'.padEnd(REQUEST_LIMIT));
  client.send('["REQ","long",{}]'.padEnd(REQUEST_LIMIT + 1));
  assert.is((await client.next('NOTICE'))[1], `invalid: the message is larger than ${REQUEST_LIMIT} bytes`);
  const { head, raw } = alice.event(bob.pubkey, { content: 'x'.repeat(REQUEST_LIMIT) });
  client.publish(raw);
  assert.is((await client.next('OK', head.id))[2], true);
  await client.settled();
  const subscribed = client.frames.filter(([type]) => type === 'EOSE').map(([, id]) => id);
  assert.is(subscribed[0], 'fits');
  assert.not.ok(subscribed.includes('long'));
});

shares('frames of many objects are not parsed', async () => {
  await start();
  const client = await connect();
  for (const type of ['REQ', 'EVENT']) {
    client.frames.length = 0;
    client.send(`["${type}",[${Array.from({ length: 33 }, (_, i) => `{"k${i}":0}`)}]]`);
    assert.is((await client.next('NOTICE'))[1], 'invalid: the message holds more than 32 objects');
  }
});

shares('what is parsed slowly has a rate of its own, which plain events do not use up', async () => {
  await start({ slowBytesPerSecond: 1, slowByteBurst: 3000 });
  const tags = Array.from({ length: 200 }, (_, i) => ['e', `${i}`]);
  const slow = [
    `["REQ","s",{}]`.padEnd(2000),
    `["EVENT",${JSON.stringify('x'.repeat(2000))}]`,
    `["EVENT",${alice.event(bob.pubkey, { tags }).raw}]`,
  ];
  for (const frame of slow) {
    const client = await connect();
    for (let i = 0; i < 3; i++) client.publish(alice.event(bob.pubkey, { content: 'x'.repeat(2000) }).raw);
    await until(() => client.frames.length === 3);
    client.send(frame);
    client.send(frame.replace('"s"', '"t"'));
    client.send(frame.replace('"s"', '"u"'));
    await until(() => client.frames.length === 6);
    const refusals = client.frames.map((answer) => JSON.stringify(answer).includes('rate-limited'));
    assert.equal(refusals.slice(0, 3), [false, false, false]);
    assert.ok(refusals.slice(3).includes(true), frame.slice(0, 20));
  }
});

shares('when all places are taken, connections that have shown nothing make room', async () => {
  const options = { isOurs: (pubkey: string) => pubkey === bob.pubkey };
  await start({ connections: 3 }, options);
  relay.onEvent(({ verdict }) => verdict?.(true));
  const [proven, listening, idle] = [await connect(), await connect(), await connect()];
  const { head, raw } = alice.event(bob.pubkey);
  proven.publish(raw);
  await proven.next('OK', head.id);
  await listening.subscribe('s', { '#p': [alice.pubkey] });
  const fourth = await connect();
  await until(() => idle.closed !== null);
  await fourth.subscribe('s', { '#p': [alice.pubkey] });
  const fifth = await connect();
  await until(() => listening.closed !== null);
  for (const client of [fourth, fifth]) {
    const event = alice.event(bob.pubkey);
    client.publish(event.raw);
    await client.next('OK', event.head.id);
  }
  const refusal = await connect().catch((error: Error) => error.message);
  assert.match(String(refusal), '503');
  assert.equal(
    [proven, fourth, fifth].map(({ closed }) => closed),
    [null, null, null],
  );
  assert.is(relay.counts.values['embedded: closed for a new one'], 2);
  fourth.close();
  await until(() => relay.connections === 2);
  await connect();
});

shares('sockets that say nothing do not keep clients out', async () => {
  await start({ connections: 1, handshakes: 2 });
  const silent = Array.from({ length: 5 }, () => createConnection(Number(new URL(relay.url!).port), '127.0.0.1'));
  let closed = 0;
  for (const socket of silent) socket.on('close', () => closed++).on('error', () => {});
  await until(() => closed === 3);
  await (await connect()).subscribe('s', {});
  for (const socket of silent) socket.destroy();
});

shares.run();
