import { verifyEvent } from 'nostr-tools/pure';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { systemClock } from '../../src/actor/clock.ts';
import { EmbeddedRelay } from '../../src/relay/embedded.ts';
import { HandledIds } from '../../src/relay/handled.ts';
import type { Incoming } from '../../src/relay/protocol.ts';
import { Relays, type RelaysOptions } from '../../src/relay/relays.ts';
import { adminSubscriptions, clientSubscriptions } from '../../src/relay/subscriptions.ts';
import { pause, someone, unixNow, until } from './events.ts';
import { FakeRelay, goodRelay } from './fake-relay.ts';
import { RawClient } from './raw-client.ts';

const key = someone();
const alice = someone();

interface Context {
  fakes: FakeRelay[];
  relays: Relays;
  incoming: Incoming[];
}

const door = suite<Context>('relays', {} as Context);

async function start(context: Context, outside: number, options: Partial<RelaysOptions> = {}): Promise<void> {
  for (let i = 0; i < outside; i++) context.fakes.push(await FakeRelay.start());
  context.relays = new Relays({
    urls: context.fakes.map(({ url }) => url),
    clock: systemClock,
    random: Math.random,
    handled: new HandledIds({ windowMs: 1e6, maxIds: 1000, random: Math.random }),
    log: () => {},
    linkLimits: { tickMs: 5, backoffMinMs: 10, backoffMaxMs: 40 },
    ...options,
  });
  context.relays.onEvent((incoming) => context.incoming.push(incoming));
  await context.relays.start();
}

function embeddedRelay(): EmbeddedRelay {
  return new EmbeddedRelay({
    port: 0,
    clock: systemClock,
    random: Math.random,
    isOurs: (pubkey) => pubkey === key.pubkey,
    verify: async (raw) => verifyEvent(JSON.parse(raw)),
    software: { name: 'redoubt', version: '0' },
  });
}

const allReady = (context: Context) => until(() => context.relays.status().every(({ state }) => state === 'ready'));

door.before.each((context) => {
  context.fakes = [];
  context.incoming = [];
});

door.after.each(async ({ relays, fakes }) => {
  await relays.close();
  for (const fake of fakes) await fake.stop();
});

door('filters ask for live events only, whatever they were given', async (context) => {
  await start(context, 2);
  await allReady(context);
  const filter = { kinds: [24133], '#p': [key.pubkey], limit: 100, since: unixNow() };
  assert.is(await context.relays.setSubscriptions([{ id: 's', filters: [filter] }]), true);
  for (const fake of context.fakes) {
    assert.equal(fake.framesOf('REQ'), [['REQ', 's', { kinds: [24133], '#p': [key.pubkey], limit: 0 }]]);
  }
});

door('setSubscriptions does not wait for ever, nor for relays that are not there', async (context) => {
  await start(context, 1, { liveMs: 50, linkLimits: { tickMs: 5, backoffMinMs: 10, eoseMs: 1e6 } });
  await allReady(context);
  context.fakes[0]!.script.onFrame = () => {};
  assert.is(await context.relays.setSubscriptions(clientSubscriptions([key.pubkey])), false);
  context.fakes[0]!.script.onFrame = goodRelay;
  context.fakes[0]!.dropAll();
  await until(() => context.relays.status()[0]!.state === 'ready');
  assert.equal(context.fakes[0]!.framesOf('REQ').at(-1)!.slice(0, 2), ['REQ', 'keys-']);
});

door('a copy from another relay is dropped once the event was verified', async (context) => {
  await start(context, 2);
  await allReady(context);
  await context.relays.setSubscriptions(clientSubscriptions([key.pubkey]));
  const [one, two] = context.fakes;
  const { head, raw } = alice.event(key.pubkey);
  const forged = raw.replace(/"sig":"../, '"sig":"00');
  one!.emit('keys-', forged);
  await until(() => context.incoming.length === 1);
  // The false signature does not suppress the true event.
  two!.emit('keys-', raw);
  await until(() => context.incoming.length === 2);
  assert.equal(context.incoming[1]!.head, head);
  assert.is(context.incoming[1]!.from, two!.url);
  context.relays.remember(head.id);
  one!.emit('keys-', `${raw.slice(0, -1)} }`);
  await until(() => context.relays.counts()['dropped: copy'] === 1);
  assert.is(context.incoming.length, 2);
});

door('the same text on two subscriptions is one event', async (context) => {
  await start(context, 1);
  await allReady(context);
  await context.relays.setSubscriptions(adminSubscriptions(key.pubkey, [alice.pubkey]));
  const { raw } = alice.event(key.pubkey, { kind: 24134 });
  context.fakes[0]!.emit('admins', raw);
  context.fakes[0]!.emit('strangers', raw);
  await until(() => context.relays.counts()['dropped: copy'] === 1);
  assert.is(context.incoming.length, 1);
});

door('other kinds are dropped', async (context) => {
  await start(context, 1);
  await allReady(context);
  await context.relays.setSubscriptions(clientSubscriptions([key.pubkey]));
  context.fakes[0]!.emit('keys-', alice.event(key.pubkey, { kind: 1 }).raw);
  context.fakes[0]!.emit('keys-', alice.event(key.pubkey).raw);
  await until(() => context.incoming.length === 1);
  assert.is(context.relays.counts()['dropped: kind'], 1);
});

door('publishes everywhere, or where it is told', async (context) => {
  await start(context, 2, { embedded: embeddedRelay() });
  await allReady(context);
  const [one, two] = context.fakes;
  const { head, raw } = key.event(alice.pubkey);
  const results = await context.relays.publish(raw, head);
  assert.equal(results, [
    { relay: one!.url, ok: true, reason: '' },
    { relay: two!.url, ok: true, reason: '' },
    { relay: 'embedded', ok: true, reason: 'nobody listens' },
  ]);
  const other = key.event(alice.pubkey);
  const some = await context.relays.publish(other.raw, other.head, {
    relays: [`${two!.url}/`, 'wss://elsewhere.example'],
  });
  assert.equal(some, [
    { relay: two!.url, ok: true, reason: '' },
    { relay: 'wss://elsewhere.example', ok: false, reason: 'not one of our relays' },
  ]);
  assert.is(one!.framesOf('EVENT').length, 1);
  assert.is(two!.framesOf('EVENT').length, 2);
});

door('the embedded relay is behind the same door, and shares what was handled', async (context) => {
  const embedded = embeddedRelay();
  await start(context, 1, { embedded });
  await allReady(context);
  assert.is(context.relays.status()[0]!.url, embedded.url);
  await context.relays.setSubscriptions(clientSubscriptions([key.pubkey]));
  const client = await RawClient.connect(embedded.url!);
  await client.subscribe('s', { '#p': [alice.pubkey] });
  const { head, raw } = alice.event(key.pubkey);
  context.fakes[0]!.emit('keys-', raw);
  await until(() => context.incoming.length === 1);
  context.relays.remember(head.id);
  client.publish(raw);
  assert.match((await client.next('OK', head.id))[3] as string, /^duplicate:/);
  assert.is(context.incoming.length, 1);
  const answer = key.event(alice.pubkey);
  assert.ok((await context.relays.publish(answer.raw, answer.head)).every(({ ok }) => ok));
  await client.next('EVENT', 's');
  client.close();
});

door('an outside URL that leads back to the embedded relay needs no socket', async (context) => {
  const embedded = embeddedRelay();
  await start(context, 0, { embedded });
  const back = embedded.url!.replace('127.0.0.1', 'localhost');
  assert.is(context.relays.setRelays([back]), null);
  assert.is(context.relays.status().length, 1);
  await pause(30);
  assert.is(embedded.connections, 0);
  const { head, raw } = key.event(alice.pubkey);
  const results = await context.relays.publish(raw, head, { relays: [back] });
  assert.equal(results, [{ relay: 'embedded', ok: true, reason: 'nobody listens' }]);
});

door('the list of relays can change; those that stay keep their connections', async (context) => {
  await start(context, 2);
  await allReady(context);
  await context.relays.setSubscriptions(clientSubscriptions([key.pubkey]));
  const third = await FakeRelay.start();
  context.fakes.push(third);
  const [one, two] = context.fakes;
  assert.is(context.relays.setRelays([two!.url, third.url, `${third.url}/`]), null);
  await allReady(context);
  await until(() => one!.peers.size === 0);
  assert.equal(
    context.relays.status().map(({ url }) => url),
    [two!.url, third.url],
  );
  assert.is(two!.connections, 1);
  assert.is(third.connections, 1);
  assert.is(third.framesOf('REQ').length, 1);
});

door('a URL that is none is named, and nothing changes', async (context) => {
  await start(context, 1);
  await allReady(context);
  assert.is(context.relays.setRelays(['https://x.example']), 'relay "https://x.example": not a ws:// or wss:// URL');
  assert.is(context.relays.status().length, 1);
  assert.throws(() => new Relays({ ...({} as RelaysOptions), urls: ['nonsense'] }), /relay "nonsense"/);
});

door('close ends all connections', async (context) => {
  await start(context, 2, { embedded: embeddedRelay() });
  await allReady(context);
  await context.relays.close();
  await until(() => context.fakes.every((fake) => fake.peers.size === 0));
  assert.equal(
    context.relays.status().map(({ state }) => state),
    ['closed'],
  );
});

door.run();
