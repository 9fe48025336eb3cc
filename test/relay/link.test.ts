import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { systemClock } from '../../src/actor/clock.ts';
import type { LogLine } from '../../src/policy/protocol.ts';
import { RelayCounts } from '../../src/relay/counts.ts';
import { frameLimit } from '../../src/relay/frame.ts';
import type { WireEvent } from '../../src/relay/head.ts';
import { type LinkLimits, RelayLink } from '../../src/relay/link.ts';
import type { Subscription } from '../../src/relay/subscriptions.ts';
import { pause, someone, until } from './events.ts';
import { FakeRelay, goodRelay, type Script } from './fake-relay.ts';

const daemon = someone();
const alice = someone();

interface Context {
  relay: FakeRelay;
  link: RelayLink;
  counts: RelayCounts;
  events: WireEvent[];
  lines: LogLine[];
}

const link = suite<Context>('relay link', {} as Context);

const QUICK: Partial<LinkLimits> = { tickMs: 5, backoffMinMs: 10, backoffMaxMs: 40, usefulMs: 1e6 };

function keys(...pubkeys: string[]): Subscription[] {
  return [{ id: 'keys', filters: [{ kinds: [24133], '#p': pubkeys, limit: 0 }] }];
}

async function start(
  context: Context,
  script: Script = {},
  limits: Partial<LinkLimits> = {},
  makeProbe?: () => Promise<string>,
): Promise<void> {
  context.relay = await FakeRelay.start(script);
  context.link = makeLink(context, context.relay.url, limits, makeProbe);
  void context.link.setSubscriptions(keys(daemon.pubkey));
  context.link.start();
}

function makeLink(
  context: Context,
  url: string,
  limits: Partial<LinkLimits> = {},
  makeProbe?: () => Promise<string>,
): RelayLink {
  return new RelayLink({
    url,
    clock: systemClock,
    random: Math.random,
    counts: context.counts,
    onEvent: (event) => context.events.push(event),
    log: (line) => context.lines.push(line),
    limits: { ...QUICK, ...limits },
    makeProbe,
  });
}

const probe = async () => daemon.event(daemon.pubkey).raw;
const ready = (context: Context) => until(() => context.link.status().state === 'ready');
const degraded = async (context: Context) => {
  await until(() => context.link.status().state === 'degraded');
  return context.link.status().reason!;
};

link.before.each((context) => {
  context.counts = new RelayCounts();
  context.events = [];
  context.lines = [];
});

link.after.each(async ({ link, relay }) => {
  link?.close();
  await relay?.stop();
});

link('is ready when its subscriptions had their EOSE, and not before', async (context) => {
  const held: (() => void)[] = [];
  await start(context, { onFrame: (frame, peer) => held.push(() => peer.send(['EOSE', frame[1]])) });
  await until(() => held.length === 1);
  assert.is(context.link.status().state, 'connecting');
  held[0]!();
  await ready(context);
  assert.equal(context.relay.frames[0], ['REQ', 'keys', { kinds: [24133], '#p': [daemon.pubkey], limit: 0 }]);
});

link('hands on events with their text, of its own subscriptions only', async (context) => {
  await start(context);
  await ready(context);
  const { head, raw } = alice.event(daemon.pubkey);
  for (const peer of context.relay.peers) {
    peer.send(`["EVENT","never asked for",${raw}]`);
    peer.send(`["EVENT","keys",${raw}]`);
  }
  await until(() => context.events.length === 1);
  assert.equal(context.events[0]!.head, head);
  assert.is(context.events[0]!.raw, raw);
  assert.is(context.counts.values['dropped: unknown subscription'], 1);
});

link('garbage and oversized frames are dropped and counted; a giant one costs the connection', async (context) => {
  await start(context, {}, { maxContent: 1000 });
  await ready(context);
  const [peer] = context.relay.peers;
  const garbage = ['', 'x', '[]', '["EVENT","keys",{}]', '["EVENT"]', '["OK"]', '{"a":1}'];
  for (const text of garbage) peer!.send(text);
  peer!.send('["NOTICE","a\\u0007b"]');
  peer!.send('["NOTICE",""]'.padEnd(frameLimit(1000) + 1));
  const { raw } = alice.event(daemon.pubkey);
  peer!.send(`["EVENT","keys",${raw}]`);
  await until(() => context.events.length === 1);
  assert.is(context.counts.values['dropped: malformed'], garbage.length);
  assert.is(context.counts.values['dropped: too large'], 1);
  assert.ok(context.lines.some((line) => line.fields.notice === 'a b'));
  assert.is(context.relay.connections, 1);
  peer!.send('x'.repeat(frameLimit(1000) * 4 + 1));
  await until(() => context.relay.connections === 2);
  await ready(context);
});

link('connects again after a drop and asks again, for live events only, before it is ready', async (context) => {
  await start(context);
  await ready(context);
  // Dated in the future: what was seen must not decide what is asked for.
  context.relay.emit('keys', alice.event(daemon.pubkey, { created_at: 4e9 }).raw);
  await until(() => context.events.length === 1);
  const held: (() => void)[] = [];
  context.relay.script.onFrame = (frame, peer) => held.push(() => peer.send(['EOSE', frame[1]]));
  context.relay.dropAll();
  await until(() => held.length === 1);
  assert.is(context.link.status().state, 'connecting');
  held[0]!();
  await ready(context);
  const requests = context.relay.framesOf('REQ');
  assert.is(requests.length, 2);
  assert.equal(requests[1], requests[0]);
  assert.is(context.link.status().reconnects, 1);
});

link('does not give up when the first connect fails', async (context) => {
  const reserved = await FakeRelay.start();
  const { port, url } = reserved;
  await reserved.stop();
  context.link = makeLink(context, url);
  void context.link.setSubscriptions(keys(daemon.pubkey));
  context.link.start();
  await until(() => context.link.status().reason?.includes('ECONNREFUSED') === true);
  await pause(100);
  context.relay = await FakeRelay.start({ port });
  await ready(context);
});

link('an answer that is no WebSocket is shown as the reason', async (context) => {
  context.link = makeLink(context, 'ws://127.0.0.1:1/');
  context.link.start();
  await until(() => context.link.status().reason !== 'not connected yet');
  assert.is(context.link.status().state, 'connecting');
});

link('a half-open socket is noticed by its silence and replaced', async (context) => {
  await start(context, { autoPong: false }, { pingMs: 40 });
  await until(() => context.relay.connections >= 2);
  await until(() => context.counts.values['dead sockets'] >= 1);
});

link('a relay that answers pings, or says anything else, is left connected', async (context) => {
  await start(context, {}, { pingMs: 10 });
  await ready(context);
  await pause(150);
  assert.is(context.relay.connections, 1);
});

link('CLOSED is shown as the reason, and asked again', async (context) => {
  await start(context, {
    onFrame: (frame, peer) => peer.send(['CLOSED', frame[1], 'auth-required: who\u0000 are you?']),
  });
  assert.is(await degraded(context), 'subscription keys: closed by the relay: auth-required: who are you?');
  await until(() => context.relay.framesOf('REQ').length >= 3);
  assert.is(context.link.status().state, 'degraded');
  context.relay.script.onFrame = goodRelay;
  await ready(context);
  assert.is(context.relay.connections, 1);
});

link('CLOSED said over and over, for another reason each time, is one line', async (context) => {
  await start(context);
  await ready(context);
  const [peer] = context.relay.peers;
  for (let n = 0; n < 100; n++) peer!.send(['CLOSED', 'keys', `error: ${n}`]);
  await until(() => context.relay.framesOf('REQ').length === 2);
  await ready(context);
  assert.is(context.lines.filter(({ message }) => message === 'relay degraded').length, 1);
});

link('a subscription that is closed later is made again', async (context) => {
  await start(context);
  await ready(context);
  const [peer] = context.relay.peers;
  peer!.send(['CLOSED', 'keys', 'error: restarting']);
  await until(() => context.relay.framesOf('REQ').length === 2);
  await ready(context);
});

link('a missing EOSE is shown, a late one mends it', async (context) => {
  let late = () => {};
  const onFrame: Script['onFrame'] = (frame, peer) => {
    late = () => peer.send(['EOSE', frame[1]]);
  };
  await start(context, { onFrame }, { eoseMs: 20 });
  assert.match(await degraded(context), 'no EOSE in 20 ms');
  late();
  await ready(context);
});

link('only what changed is sent; what goes is closed after what comes is live', async (context) => {
  const held: (() => void)[] = [];
  await start(context);
  await ready(context);
  const sub = (id: string, p: string) => ({ id, filters: [{ '#p': [p], limit: 0 }] });
  assert.is(await context.link.setSubscriptions([...keys(daemon.pubkey), sub('a', 'one')]), true);
  context.relay.frames.length = 0;
  context.relay.script.onFrame = (frame, peer) => held.push(() => peer.send(['EOSE', frame[1]]));
  const live = context.link.setSubscriptions([sub('a', 'two'), sub('b', 'three')]);
  await until(() => held.length === 2);
  assert.equal(
    context.relay.frames.map((frame) => frame.slice(0, 2)),
    [
      ['REQ', 'a'],
      ['REQ', 'b'],
    ],
  );
  for (const eose of held) eose();
  assert.is(await live, true);
  await until(() => context.relay.frames.length === 3);
  assert.equal(context.relay.frames[2], ['CLOSE', 'keys']);
});

link('one REQ of an id is unanswered at a time, and the last wish is what counts', async (context) => {
  const held: (() => void)[] = [];
  await start(context, { onFrame: (frame, peer) => held.push(() => peer.send(['EOSE', frame[1]])) });
  await until(() => held.length === 1);
  void context.link.setSubscriptions(keys('b'));
  const live = context.link.setSubscriptions(keys('c'));
  await pause(30);
  assert.is(held.length, 1);
  held[0]!();
  await until(() => held.length === 2);
  assert.equal(context.relay.frames[1], ['REQ', ...Object.values(keys('c')[0]!).flat()]);
  held[1]!();
  assert.is(await live, true);
});

link('publishing resolves with what the relay said', async (context) => {
  const answers: { [content: string]: [boolean, string] } = {
    taken: [true, ''],
    known: [false, 'duplicate: have it'],
    refused: [false, 'invalid: no'],
  };
  const onFrame: Script['onFrame'] = (frame, peer) => {
    const event = frame[1] as { id: string; content: string };
    if (frame[0] === 'EVENT') peer.send(['OK', event.id, ...answers[event.content]!]);
  };
  await start(context, { onFrame });
  const publish = (content: string) => {
    const { head, raw } = daemon.event(alice.pubkey, { content });
    return context.link.publish(head.id, raw);
  };
  assert.equal(await publish('taken'), { ok: true, reason: '' });
  assert.equal(await publish('known'), { ok: true, reason: 'duplicate: have it' });
  assert.equal(await publish('refused'), { ok: false, reason: 'invalid: no' });
  assert.ok(context.lines.some((line) => line.fields.reason === 'invalid: no'));
  assert.is(context.counts.values.rejected, 1);
  assert.is(context.counts.values.published, 2);
});

link('a relay that refuses to be published to is degraded until it takes an event', async (context) => {
  let ok = false;
  const onFrame: Script['onFrame'] = (frame, peer, relay) => {
    if (frame[0] === 'EVENT') peer.send(['OK', (frame[1] as { id: string }).id, ok, ok ? '' : 'restricted: members']);
    else goodRelay(frame, peer, relay);
  };
  await start(context, { onFrame });
  const publish = () => {
    const { head, raw } = daemon.event(alice.pubkey);
    return context.link.publish(head.id, raw);
  };
  await publish();
  assert.match(await degraded(context), 'restricted: members');
  ok = true;
  await publish();
  await ready(context);
});

link('so many events wait for their OK, and no more are sent', async (context) => {
  const held: (() => void)[] = [];
  const onFrame: Script['onFrame'] = (frame, peer) => {
    if (frame[0] === 'EVENT') held.push(() => peer.send(['OK', (frame[1] as { id: string }).id, true, '']));
  };
  await start(context, { onFrame }, { inFlight: 3 });
  const events = Array.from({ length: 8 }, () => daemon.event(alice.pubkey));
  const results = Promise.all(events.map(({ head, raw }) => context.link.publish(head.id, raw)));
  await until(() => held.length === 3);
  await pause(30);
  assert.is(held.length, 3);
  held.shift()!();
  await until(() => held.length === 3);
  while (context.relay.framesOf('EVENT').length < 8 || held.length > 0) {
    held.shift()?.();
    await pause(1);
  }
  assert.ok((await results).every(({ ok }) => ok));
  const order = context.relay.framesOf('EVENT').map((frame) => (frame[1] as { id: string }).id);
  assert.equal(
    order,
    events.map(({ head }) => head.id),
  );
});

link('rate-limited: a pause, then the same event again', async (context) => {
  let refusals = 2;
  const onFrame: Script['onFrame'] = (frame, peer, relay) => {
    if (frame[0] !== 'EVENT' || refusals-- <= 0) goodRelay(frame, peer, relay);
    else peer.send(['OK', (frame[1] as { id: string }).id, false, 'rate-limited: slow down']);
  };
  await start(context, { onFrame }, { coolMinMs: 60, coolMaxMs: 120 });
  await ready(context);
  const [one, two] = [daemon.event(alice.pubkey), daemon.event(alice.pubkey)];
  const first = context.link.publish(one.head.id, one.raw);
  assert.match(await degraded(context), 'rate-limited: slow down');
  const second = context.link.publish(two.head.id, two.raw);
  assert.is(context.relay.framesOf('EVENT').length, 1);
  assert.is((await first).ok, true);
  assert.is((await second).ok, true);
  assert.is(context.counts.values['publish: rate-limited'], 2);
  const order = context.relay.framesOf('EVENT').map((frame) => (frame[1] as { id: string }).id);
  assert.equal(order, [one.head.id, one.head.id, one.head.id, two.head.id]);
  await ready(context);
});

link('nothing is sent while a relay cools down', async (context) => {
  const onFrame: Script['onFrame'] = (frame, peer, relay) => {
    if (frame[0] !== 'EVENT') goodRelay(frame, peer, relay);
    else peer.send(['OK', (frame[1] as { id: string }).id, false, 'rate-limited: slow down']);
  };
  await start(context, { onFrame }, { coolMinMs: 1e6, coolMaxMs: 1e6 });
  const [one, two] = [daemon.event(alice.pubkey), daemon.event(alice.pubkey)];
  void context.link.publish(one.head.id, one.raw);
  await degraded(context);
  void context.link.publish(two.head.id, two.raw);
  await pause(50);
  assert.is(context.relay.framesOf('EVENT').length, 1);
});

link('while disconnected events wait, and are sent after the reconnection', async (context) => {
  const reserved = await FakeRelay.start();
  const { port, url } = reserved;
  await reserved.stop();
  context.link = makeLink(context, url);
  context.link.start();
  const { head, raw } = daemon.event(alice.pubkey);
  const published = context.link.publish(head.id, raw);
  await pause(30);
  context.relay = await FakeRelay.start({ port });
  assert.is((await published).ok, true);
});

link('what was in flight when the connection dropped is sent again', async (context) => {
  await start(context, { onFrame: (frame, peer) => frame[0] === 'EVENT' && peer.drop() });
  const { head, raw } = daemon.event(alice.pubkey);
  const published = context.link.publish(head.id, raw);
  await until(() => context.relay.framesOf('EVENT').length >= 2);
  context.relay.script.onFrame = goodRelay;
  assert.is((await published).ok, true);
});

link('events wait no longer than their deadline, and no more of them than the bound', async (context) => {
  context.link = makeLink(context, 'ws://127.0.0.1:1', { deadlineMs: 40, waiting: 3, waitingChars: 1e6 });
  context.link.start();
  const events = Array.from({ length: 5 }, () => daemon.event(alice.pubkey));
  const results = await Promise.all(events.map(({ head, raw }) => context.link.publish(head.id, raw)));
  assert.ok(results.every(({ ok }) => !ok));
  assert.equal(
    results.map(({ reason }) => reason.replace(/\d+/, 'N')),
    [
      'too many events wait for this relay',
      'too many events wait for this relay',
      'not taken in N ms',
      'not taken in N ms',
      'not taken in N ms',
    ],
  );
  assert.is(context.counts.values['publish: queue full'], 2);
  assert.is(context.counts.values['publish: not connected'], 3);
});

link('no OK in time is said', async (context) => {
  await start(context, { onFrame: () => {} }, { okMs: 20 });
  const { head, raw } = daemon.event(alice.pubkey);
  assert.equal(await context.link.publish(head.id, raw), { ok: false, reason: 'no OK in 20 ms' });
});

link('a probe that comes back gives the round trip, and nobody else sees it', async (context) => {
  await start(context, {}, { probeEveryMs: 20 }, probe);
  await until(() => context.counts.values.probes >= 3);
  await ready(context);
  assert.ok(context.link.status().roundTripMs! >= 0);
  assert.equal(context.events, []);
  const asked = context.relay.framesOf('REQ').find((frame) => frame[1] === 'probe')!;
  assert.equal(asked[2], { kinds: [24133], authors: [daemon.pubkey], '#p': [daemon.pubkey], limit: 0 });
  assert.is(context.relay.framesOf('REQ').length, 2);
});

link('a relay that refuses the kind is degraded', async (context) => {
  const onFrame: Script['onFrame'] = (frame, peer, relay) => {
    if (frame[0] === 'EVENT') peer.send(['OK', (frame[1] as { id: string }).id, false, 'blocked: kind not allowed']);
    else goodRelay(frame, peer, relay);
  };
  await start(context, { onFrame }, {}, probe);
  assert.is(await degraded(context), 'refuses kind 24133: blocked: kind not allowed');
});

link('a relay that swallows the kind is degraded, and probed on', async (context) => {
  const onFrame: Script['onFrame'] = (frame, peer) => {
    if (frame[0] === 'REQ') peer.send(['EOSE', frame[1]]);
    else peer.send(['OK', (frame[1] as { id: string }).id, true, '']);
  };
  await start(context, { onFrame }, { probeWithinMs: 20, probeEveryMs: 20 }, probe);
  assert.match(await degraded(context), 'swallows kind 24133');
  assert.is(context.relay.connections, 1);
  context.relay.script.onFrame = goodRelay;
  await ready(context);
});

link('a socket that stopped delivering is rebuilt', async (context) => {
  await start(context, {}, { probeWithinMs: 20, probeEveryMs: 20 }, probe);
  await until(() => context.link.status().roundTripMs !== null);
  // From now on this one connection is deaf, and others are not.
  const [deaf] = context.relay.peers;
  context.relay.script.onFrame = (frame, peer, relay) => {
    if (peer !== deaf) goodRelay(frame, peer, relay);
  };
  await until(() => context.relay.connections === 2);
  await until(() => context.link.status().roundTripMs !== null);
  await ready(context);
  assert.is(context.counts.values.rebuilt, 1);
});

link('a probe that cannot be made, or never is, harms nothing', async (context) => {
  let made = 0;
  const makers = [
    () => Promise.reject(new Error('no')),
    () => Promise.resolve('not JSON'),
    () => Promise.resolve('{}'),
    () => new Promise<string>(() => {}),
  ];
  await start(context, {}, { probeEveryMs: 5, probeWithinMs: 10 }, () => makers[made++ % makers.length]!());
  await until(() => made >= 8);
  await ready(context);
});

link('a flapping relay leaves nothing behind', async (context) => {
  await start(context, {}, { backoffMinMs: 1, backoffMaxMs: 2 }, probe);
  const resources = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
  await ready(context);
  const before = resources();
  for (let i = 0; i < 60; i++) {
    await until(() => context.relay.peers.size === 1);
    context.relay.emit('keys', alice.event(daemon.pubkey).raw);
    const { connections } = context.relay;
    context.relay.dropAll();
    // A moment without a connection would be over before anybody looks.
    await until(() => context.relay.connections > connections);
  }
  await ready(context);
  assert.is(context.relay.peers.size, 1);
  assert.ok(resources() <= before + 2, `${resources()} timers, ${before} before`);
  assert.ok(context.link.status().reconnects >= 60);
});

link('after close there is no timer, no socket, and no new connection', async (context) => {
  await start(context);
  await ready(context);
  context.link.close();
  await until(() => context.relay.peers.size === 0);
  const { connections } = context.relay;
  await pause(100);
  assert.is(context.relay.connections, connections);
  assert.is(context.link.status().state, 'closed');
  assert.equal(await context.link.publish('x', '{}'), { ok: false, reason: 'the link is closed' });
});

link("what a relay's URL holds after the ? is not logged", async (context) => {
  context.relay = await FakeRelay.start({});
  context.link = makeLink(context, `${context.relay.url}?token=hunter2`);
  context.link.start();
  await until(() => context.lines.length > 0);
  assert.not.match(JSON.stringify(context.lines), 'hunter2');
  assert.match(JSON.stringify(context.lines), new URL(context.relay.url).host);
});

link.run();
