import { createServer } from 'node:net';
import { verifyEvent } from 'nostr-tools/pure';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { systemClock } from '../../src/actor/clock.ts';
import { EmbeddedRelay, type EmbeddedRelayOptions } from '../../src/relay/embedded.ts';
import type { EmbeddedLimits } from '../../src/relay/embedded-limits.ts';
import { frameLimit } from '../../src/relay/frame.ts';
import type { Incoming } from '../../src/relay/protocol.ts';
import { pause, someone, unixNow, unsigned, until } from './events.ts';
import { RawClient } from './raw-client.ts';

const alice = someone();
const bob = someone();
const ours = someone();

interface Context {
  relay: EmbeddedRelay;
  incoming: Incoming[];
  clients: RawClient[];
}

const embedded = suite<Context>('embedded relay', { relay: undefined as never, incoming: [], clients: [] });

async function start(
  context: Context,
  limits: Partial<EmbeddedLimits> = {},
  options: Partial<EmbeddedRelayOptions> = {},
): Promise<void> {
  context.relay = new EmbeddedRelay({
    port: 0,
    clock: systemClock,
    random: Math.random,
    isOurs: (pubkey) => pubkey === ours.pubkey,
    verify: async (raw) => verifyEvent(JSON.parse(raw)),
    software: { name: 'redoubt', version: '1.2.3' },
    limits: { tickMs: 10, ...limits },
    ...options,
  });
  context.relay.onEvent((incoming) => context.incoming.push(incoming));
  await context.relay.start();
}

async function connect(context: Context, options: { autoPong?: boolean } = {}): Promise<RawClient> {
  const client = await RawClient.connect(context.relay.url!, options);
  context.clients.push(client);
  return client;
}

embedded.before.each((context) => {
  context.incoming = [];
  context.clients = [];
});

embedded.after.each(async (context) => {
  for (const client of context.clients) client.close();
  await context.relay.close();
});

embedded('listens on loopback, on a free port, and says which', async (context) => {
  await start(context);
  assert.match(context.relay.url!, /^ws:\/\/127\.0\.0\.1:[1-9]\d+$/);
});

embedded('a port that is taken is named in the error', async (context) => {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
  const { port } = other.address() as { port: number };
  try {
    await start(context, {}, { port });
    assert.unreachable();
  } catch (error) {
    assert.match((error as Error).message, `127.0.0.1:${port}: another program listens there`);
  }
  other.close();
});

embedded('REQ has its EOSE at once, then live events, until CLOSE', async (context) => {
  await start(context);
  const [sender, receiver] = [await connect(context), await connect(context)];
  await receiver.subscribe('s', { kinds: [24133], '#p': [bob.pubkey], limit: 0 });
  const one = alice.event(bob.pubkey);
  sender.publish(one.raw);
  assert.equal(await sender.next('OK'), ['OK', one.head.id, true, '']);
  assert.equal(await receiver.next('EVENT'), ['EVENT', 's', JSON.parse(one.raw)]);
  receiver.send(['CLOSE', 's']);
  await receiver.settled();
  const two = alice.event(bob.pubkey);
  sender.publish(two.raw);
  await sender.next('OK', two.head.id);
  await receiver.settled();
  assert.equal(receiver.events('s'), [one.head.id]);
});

embedded('an event that nobody listens for is accepted, and its sender told that it is gone', async (context) => {
  await start(context);
  const [sender, receiver] = [await connect(context), await connect(context)];
  const unheard = alice.event(bob.pubkey);
  sender.publish(unheard.raw);
  assert.equal(await sender.next('OK', unheard.head.id), [
    'OK',
    unheard.head.id,
    true,
    'mute: nobody listens for this event here',
  ]);
  assert.is(context.relay.counts.values['embedded: nobody listened'], 1);
  await receiver.subscribe('s', { kinds: [24133], '#p': [bob.pubkey], limit: 0 });
  // The same event once more is new to everybody.
  const [again, third] = [await connect(context), await connect(context)];
  again.publish(unheard.raw);
  assert.equal((await again.next('OK', unheard.head.id)).slice(2), [true, '']);
  await receiver.next('EVENT');
  assert.equal(receiver.events('s'), [unheard.head.id]);
  third.publish(unheard.raw);
  assert.match(String((await third.next('OK', unheard.head.id))[3]), /^duplicate:/);
});

embedded('an event is not stored', async (context) => {
  await start(context);
  const client = await connect(context);
  const event = alice.event(bob.pubkey);
  client.publish(event.raw);
  await client.next('OK');
  await client.subscribe('s', { ids: [event.head.id] });
  await client.settled();
  assert.equal(client.events('s'), []);
});

embedded('subscriptions of all shapes', async (context) => {
  await start(context);
  const [sender, receiver] = [await connect(context), await connect(context)];
  const event = alice.event(bob.pubkey, {
    tags: [
      ['e', 'thread'],
      ['p', ours.pubkey],
    ],
  });
  const p = [bob.pubkey];
  const shapes: { [id: string]: [wanted: boolean, ...filters: object[]] } = {
    live: [true, { kinds: [24133], '#p': p, limit: 0 }],
    since: [true, { kinds: [24133], '#p': p, since: unixNow() }],
    'fast clock': [true, { '#p': p, since: unixNow() + 500 }],
    'far ahead': [false, { '#p': p, since: unixNow() + 5000 }],
    until: [false, { '#p': p, until: unixNow() - 5000 }],
    author: [true, { authors: [alice.pubkey] }],
    'other author': [false, { authors: [bob.pubkey], '#p': p }],
    'p only': [true, { '#p': p }],
    'second p': [true, { '#p': [ours.pubkey] }],
    'both kinds': [true, { kinds: [24133, 24134], '#p': p }],
    'other kind': [false, { kinds: [24134], '#p': p }],
    ids: [true, { ids: [event.head.id] }],
    'other ids': [false, { ids: ['ab'.repeat(32)] }],
    everything: [true, {}],
    nothing: [false, { kinds: [] }],
    'other tag': [true, { '#e': ['thread'] }],
    'another tag': [false, { '#e': ['other'], '#p': p }],
    'one of two': [true, { kinds: [1] }, { '#p': p }],
    'both of two': [true, { '#p': p }, { authors: [alice.pubkey] }],
    unknown: [true, { '#p': p, search: 'x' }],
  };
  for (const [id, [, ...filters]] of Object.entries(shapes)) await receiver.subscribe(id, ...filters);
  sender.publish(event.raw);
  await sender.next('OK');
  await receiver.settled();
  for (const [id, [wanted]] of Object.entries(shapes)) {
    assert.equal(receiver.events(id), wanted ? [event.head.id] : [], id);
  }
});

embedded('a new REQ for every request, and one that replaces another in place', async (context) => {
  await start(context);
  const [sender, receiver] = [await connect(context), await connect(context)];
  for (let i = 0; i < 20; i++) {
    const event = alice.event(bob.pubkey);
    await receiver.subscribe(`r${i}`, { '#p': [bob.pubkey] });
    sender.publish(event.raw);
    await receiver.next('EVENT', `r${i}`);
    assert.equal(receiver.events(`r${i}`), [event.head.id]);
    receiver.send(['CLOSE', `r${i}`]);
  }
  await receiver.subscribe('s', { '#p': [bob.pubkey] });
  receiver.send(['REQ', 's', { '#p': [alice.pubkey] }]);
  await receiver.settled();
  const [old, current] = [alice.event(bob.pubkey), alice.event(alice.pubkey)];
  sender.publish(old.raw);
  sender.publish(current.raw);
  await receiver.next('EVENT', 's');
  assert.equal(receiver.events('s'), [current.head.id]);
});

embedded('other kinds are refused', async (context) => {
  await start(context);
  const client = await connect(context);
  await client.subscribe('s', {});
  const event = alice.event(bob.pubkey, { kind: 1 });
  client.publish(event.raw);
  const [, , ok, reason] = await client.next('OK', event.head.id);
  assert.is(ok, false);
  assert.match(reason as string, /^blocked: .*24133 and 24134/);
  assert.equal(client.events('s'), []);
  const admin = alice.event(bob.pubkey, { kind: 24134 });
  client.publish(admin.raw);
  assert.is((await client.next('OK', admin.head.id))[2], true);
});

embedded('an event that does not verify is refused, and does not stand in the way of the true one', async (context) => {
  await start(context);
  const client = await connect(context);
  await client.subscribe('s', {});
  const { head, raw } = alice.event(bob.pubkey);
  client.publish(raw.replace(/"sig":"./, (m) => `"sig":"${m.endsWith('0') ? '1' : '0'}`));
  assert.match((await client.next('OK'))[3] as string, /^invalid: /);
  assert.equal(client.events('s'), []);
  client.frames.length = 0;
  client.publish(raw);
  assert.equal((await client.next('OK', head.id)).slice(2), [true, '']);
  await client.next('EVENT');
});

embedded('a copy is called a duplicate and is not delivered again', async (context) => {
  await start(context);
  const client = await connect(context);
  await client.subscribe('s', {});
  const { head, raw } = alice.event(bob.pubkey);
  client.publish(raw);
  await client.next('OK');
  client.frames.length = 0;
  client.publish(raw);
  const [, , ok, reason] = await client.next('OK', head.id);
  assert.is(ok, true);
  assert.match(reason as string, /^duplicate:/);
  await client.settled();
  assert.equal(client.events('s'), []);
  // Two at once: the second is verified before the first is known.
  const other = alice.event(bob.pubkey);
  client.publish(other.raw);
  client.publish(other.raw);
  await until(() => client.frames.filter((frame) => frame[1] === other.head.id).length === 2);
  await client.settled();
  assert.equal(client.events('s'), [other.head.id]);
});

embedded('an event for us waits for our verdict; others get it only when it is good', async (context) => {
  let verified = 0;
  const verify = async () => ++verified > 0;
  await start(context, {}, { verify });
  const client = await connect(context);
  await client.subscribe('s', { '#p': [ours.pubkey] });
  const [good, bad] = [alice.event(ours.pubkey), alice.event(ours.pubkey)];
  client.publish(good.raw);
  client.publish(bad.raw);
  await until(() => context.incoming.length === 2);
  await client.settled();
  assert.equal(client.events('s'), []);
  assert.is(
    client.frames.some((frame) => frame[0] === 'OK'),
    false,
  );
  const [first, second] = context.incoming;
  assert.equal(first!.head, good.head);
  assert.is(first!.raw, good.raw);
  assert.is(first!.from, 'embedded');
  second!.verdict!(false);
  assert.match((await client.next('OK', bad.head.id))[3] as string, /^invalid: /);
  first!.verdict!(true);
  first!.verdict!(false);
  assert.equal((await client.next('OK', good.head.id)).slice(2), [true, '']);
  await client.settled();
  assert.equal(client.events('s'), [good.head.id]);
  assert.is(client.frames.filter((frame) => frame[0] === 'OK').length, 2);
  assert.is(verified, 0);
});

embedded('without a verdict in time the sender hears that we are busy', async (context) => {
  await start(context, { verdictMs: 30, verdicts: 2 });
  const client = await connect(context);
  const events = [alice.event(ours.pubkey), alice.event(ours.pubkey), alice.event(ours.pubkey)];
  for (const { raw } of events) client.publish(raw);
  for (const { head } of events) {
    assert.equal((await client.next('OK', head.id)).slice(2), [false, 'error: busy, try again']);
  }
  assert.is(context.incoming.length, 2);
  context.incoming[0]!.verdict!(true);
  await client.settled();
  assert.is(client.frames.filter((frame) => frame[0] === 'OK').length, 3);
});

embedded('an event that a verdict calls a duplicate is not delivered', async (context) => {
  await start(context);
  const client = await connect(context);
  await client.subscribe('s', {});
  const verdicts = [
    [true, 'duplicate: seen elsewhere'],
    [false, 'duplicate: handled before'],
  ] as const;
  for (const [n, [ok, reason]] of verdicts.entries()) {
    const { head, raw } = alice.event(ours.pubkey);
    client.publish(raw);
    await until(() => context.incoming.length === n + 1);
    context.incoming[n]!.verdict!(ok, reason);
    assert.is((await client.next('OK', head.id))[2], true, 'NIP-01: the relay has it');
  }
  await client.settled();
  assert.equal(client.events('s'), []);
});

embedded('so many verifications at once, and no more', async (context) => {
  let release = () => {};
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  await start(context, { verifying: 3 }, { verify: () => gate.then(() => true) });
  const client = await connect(context);
  const events = Array.from({ length: 4 }, () => alice.event(bob.pubkey));
  for (const { raw } of events) client.publish(raw);
  assert.match((await client.next('OK', events[3]!.head.id))[3] as string, /^rate-limited:/);
  release();
  for (const { head } of events.slice(0, 3)) assert.is((await client.next('OK', head.id))[2], true);
});

embedded("the daemon's own events are delivered unverified", async (context) => {
  await start(context, {}, { verify: () => Promise.reject(new Error('not asked')) });
  const client = await connect(context);
  await client.subscribe('s', { kinds: [24133], '#p': [alice.pubkey], authors: [ours.pubkey] });
  const { head, raw } = ours.event(alice.pubkey);
  assert.is(context.relay.inject(raw, head), 1);
  await client.next('EVENT', 's');
  await client.subscribe('e', { '#e': ['x'] });
  const tagged = ours.event(alice.pubkey, { tags: [['e', 'x']] });
  assert.is(context.relay.inject(tagged.raw, tagged.head), 2);
  const other = ours.event(bob.pubkey);
  assert.is(context.relay.inject(other.raw, other.head), 0);
});

embedded('what a client subscribed to ends with its connection', async (context) => {
  await start(context);
  const client = await connect(context);
  await client.subscribe('s', { '#p': [alice.pubkey] }, {});
  const [one, two] = [ours.event(alice.pubkey), ours.event(alice.pubkey)];
  assert.is(context.relay.inject(one.raw, one.head), 1);
  client.close();
  await until(() => context.relay.connections === 0);
  assert.is(context.relay.inject(two.raw, two.head), 0);
});

embedded('content: limit - 1, limit, limit + 1', async (context) => {
  await start(context, { maxContent: 2000 });
  const client = await connect(context);
  for (const [size, fits] of [
    [1999, true],
    [2000, true],
    [2001, false],
  ] as const) {
    const { head, raw } = alice.event(bob.pubkey, { content: 'x'.repeat(size) });
    client.publish(raw);
    assert.is((await client.next('OK', head.id))[2], fits, `${size}`);
  }
});

embedded('a frame over the limit is not parsed, one far over it ends the connection', async (context) => {
  await start(context, { maxContent: 2000 });
  const client = await connect(context);
  const limit = frameLimit(2000);
  client.send('["REQ","fits",{}]'.padEnd(limit, ' '));
  await client.next('EOSE', 'fits');
  client.send('["REQ","large",{}]'.padEnd(limit + 1, ' '));
  assert.match((await client.next('NOTICE'))[1] as string, `larger than ${limit} bytes`);
  client.send('x'.repeat(limit * 2 + 1));
  await until(() => client.closed !== null);
  assert.is(client.closed!.code, 1009);
});

embedded('subscriptions, filters and their values are bounded', async (context) => {
  await start(context, { subscriptions: 3, filters: 2, filterValues: 10 });
  const client = await connect(context);
  const refused = async (id: string, ...filters: object[]) => {
    client.send(['REQ', id, ...filters]);
    return (await client.next('CLOSED', id))[2] as string;
  };
  const pubkeys = (n: number) => Array.from({ length: n }, (_, i) => i.toString(16).padStart(64, '0'));
  await client.subscribe('two filters', {}, {});
  assert.match(await refused('three filters', {}, {}, {}), 'more than 2 filters');
  await client.subscribe('ten values', { '#p': pubkeys(10) });
  assert.match(await refused('one more', { authors: pubkeys(1) }), 'more than 10 filter values');
  await client.subscribe('ten values', { '#p': pubkeys(9) });
  await client.subscribe('third', { authors: pubkeys(1) });
  assert.match(await refused('fourth', {}), 'more than 3 subscriptions');
  client.send(['CLOSE', 'third']);
  await client.subscribe('fourth', { kinds: [1] });
  assert.match(await refused('none'), 'needs a filter');
  assert.match(await refused('hex', { authors: ['ABC'] }), 'authors');
  assert.match(await refused('kinds', { kinds: ['1'] }), 'kinds');
  assert.match(await refused('array', [1]), 'not an object');
});

embedded('over its rate a connection is told so, and cut off when it does not stop', async (context) => {
  await start(context, { framesPerSecond: 0.001, frameBurst: 2, refusedInRow: 5 });
  const client = await connect(context);
  const other = await connect(context);
  client.send(['REQ', 's', {}]);
  client.send(['REQ', 't', {}]);
  const { head, raw } = alice.event(bob.pubkey, { content: 'x'.repeat(9000) });
  client.publish(raw);
  assert.match((await client.next('OK', head.id))[3] as string, /^rate-limited:/);
  client.send(['REQ', 'u', {}]);
  assert.match((await client.next('CLOSED', 'u'))[2] as string, /^rate-limited:/);
  client.send('["WHAT"]');
  assert.match((await client.next('NOTICE'))[1] as string, /^rate-limited:/);
  for (let i = 0; i < 10; i++) client.send('["WHAT"]');
  await until(() => client.closed !== null);
  assert.is(client.closed!.code, 1008);
  await other.subscribe('still served', {});
  assert.is(context.relay.counts.values['embedded: closed for flooding'], 1);
});

embedded('bytes count towards the rate', async (context) => {
  await start(context, { bytesPerSecond: 1, byteBurst: 5000 });
  const client = await connect(context);
  const { head, raw } = alice.event(bob.pubkey, { content: 'x'.repeat(6000) });
  client.publish(raw);
  assert.match((await client.next('OK', head.id))[3] as string, /^rate-limited:/);
});

embedded('a client that does not read is cut off, others do not notice', async (context) => {
  await start(context, { maxBuffered: 200_000 });
  const [stalled, reader] = [await connect(context), await connect(context)];
  await stalled.subscribe('s', {});
  await reader.subscribe('s', {});
  stalled.stall();
  const { head, raw } = ours.event(alice.pubkey, { content: 'x'.repeat(50_000) });
  let sent = 0;
  while (context.relay.connections === 2) {
    context.relay.inject(raw, head);
    sent++;
    await pause(0);
  }
  await until(() => reader.events('s').length === sent);
  assert.is(context.relay.counts.values['embedded: closed for not reading'], 1);
});

embedded('a client that no longer answers pings is put out', async (context) => {
  await start(context, { pingMs: 30 });
  const [dead, alive] = [await connect(context, { autoPong: false }), await connect(context)];
  await until(() => dead.closed !== null);
  await pause(100);
  assert.is(alive.closed, null);
  assert.is(context.relay.connections, 1);
});

embedded('garbage is answered and harms nobody', async (context) => {
  await start(context);
  const client = await connect(context);
  const garbage = ['', '{', '[]', '["EVENT"]', '["EVENT",null]', '["REQ",1]', '["REQ"]', '[["EVENT"]]', '["AUTH","x"]'];
  for (const text of [...garbage, `["EVENT",${unsigned({ tags: 7 })}]`, '["CLOSE","never opened"]']) client.send(text);
  client.ws.send(Buffer.from([1, 2, 3]));
  await client.settled();
  const answers = client.frames.filter(([type]) => type === 'NOTICE' || type === 'OK');
  assert.is(answers.length, garbage.length + 2);
  assert.ok(answers.every((frame) => (frame.at(-1) as string).startsWith('invalid: ')));
});

embedded('NIP-11: the information document, with the limits', async (context) => {
  await start(context, { maxContent: 2000, subscriptions: 7 });
  const url = context.relay.url!.replace('ws:', 'http:');
  const answer = await fetch(url, { headers: { Accept: 'application/nostr+json' } });
  assert.is(answer.headers.get('content-type'), 'application/nostr+json');
  assert.is(answer.headers.get('access-control-allow-origin'), '*');
  const document = (await answer.json()) as { limitation: { [name: string]: unknown }; [name: string]: unknown };
  assert.equal(document.supported_nips, [1, 11, 46]);
  assert.is(document.version, '1.2.3');
  assert.is(document.limitation.max_message_length, frameLimit(2000));
  assert.is(document.limitation.max_subscriptions, 7);
  const plain = await fetch(url);
  assert.is(plain.status, 426);
  assert.match(await plain.text(), 'Nostr relay');
});

embedded('close ends every connection', async (context) => {
  await start(context);
  const client = await connect(context);
  await context.relay.close();
  await until(() => client.closed !== null);
  assert.is(client.closed!.code, 1001);
  assert.is(context.relay.url, null);
});

embedded.run();
