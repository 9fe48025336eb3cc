import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { systemClock } from '../../src/actor/clock.ts';
import { ClientRelays, type ClientRelaysOptions } from '../../src/relay/client-relays.ts';
import { RelayCounts } from '../../src/relay/counts.ts';
import { HandledIds } from '../../src/relay/handled.ts';
import type { Incoming } from '../../src/relay/protocol.ts';
import { Relays } from '../../src/relay/relays.ts';
import { type Someone, someone, until } from './events.ts';
import { FakeRelay } from './fake-relay.ts';

const [key, other] = [someone(), someone()];
const client = someone();

interface Context {
  fakes: FakeRelay[];
  relays: Relays;
  theirs: ClientRelays;
  incoming: Incoming[];
}

const door = suite<Context>('client relays', {} as Context);

/** Three relays, of which the first is the daemon's own. */
async function start(context: Context, options: Partial<ClientRelaysOptions> = {}): Promise<void> {
  for (let i = 0; i < 3; i++) context.fakes.push(await FakeRelay.start());
  const counts = new RelayCounts();
  const around = { clock: systemClock, random: Math.random, counts, log: () => {} };
  const linkLimits = { tickMs: 5, backoffMinMs: 10, backoffMaxMs: 40 };
  const handled = new HandledIds({ windowMs: 1e6, maxIds: 1000, random: Math.random });
  context.relays = new Relays({ ...around, urls: [context.fakes[0]!.url], handled, linkLimits });
  context.relays.onEvent((incoming) => context.incoming.push(incoming));
  await context.relays.start();
  context.theirs = new ClientRelays({
    ...around,
    relays: context.relays,
    auth: { key: async () => null },
    most: 8,
    linkLimits,
    ...options,
  });
}

const need = ({ fakes }: Context, who: Someone, ...which: number[]) => ({
  pubkey: who.pubkey,
  relays: which.map((i) => fakes[i]!.url),
});
const publish = ({ theirs }: Context, who: Someone, where = {}) => {
  const { head, raw } = who.event(client.pubkey);
  return theirs.publish(raw, head, where);
};
const asked = (fake: FakeRelay) => fake.framesOf('REQ').at(-1)?.[2] as { '#p': string[] };

door.before.each((context) => {
  context.fakes = [];
  context.incoming = [];
});
door.after.each(async ({ theirs, relays, fakes }) => {
  theirs.close();
  await relays.close();
  for (const fake of fakes) await fake.stop();
});

door('each relay serves the keys that it is for, and brings nothing for others', async (context) => {
  await start(context);
  context.theirs.arrange([need(context, key, 1, 2), need(context, other, 2)]);
  await until(() => context.theirs.status().every(({ state }) => state === 'ready'));
  const [, one, two] = context.fakes;
  assert.equal(asked(one!)['#p'], [key.pubkey]);
  assert.equal(asked(two!)['#p'], [key.pubkey, other.pubkey].sort());
  one!.emit('keys-', client.event(other.pubkey).raw);
  one!.emit('keys-', client.event(key.pubkey).raw);
  await until(() => context.incoming.some(({ head }) => head.p === key.pubkey));
  assert.equal(
    context.incoming.map(({ head, from }) => [head.p, from]),
    [[key.pubkey, one!.url]],
  );
  assert.equal(
    (await publish(context, other)).map(({ relay, ok }) => [relay, ok]),
    [[two!.url, true]],
  );
  assert.is((await publish(context, key)).length, 2);
  assert.equal(await publish(context, client), []);
});

door('a relay of ours needs no second link', async (context) => {
  await start(context);
  await until(() => context.relays.status()[0]!.state === 'ready');
  assert.equal(await context.theirs.claim(need(context, key, 0)), { ok: true, value: null });
  assert.equal(context.theirs.status(), []);
  assert.is(context.fakes[0]!.connections, 1);
});

door('a claim holds a relay until it is released, and the records from then on', async (context) => {
  await start(context);
  const claim = need(context, key, 1);
  assert.ok((await context.theirs.claim(claim)).ok);
  context.theirs.arrange([]);
  assert.is(context.theirs.status()[0]!.keys, 1);
  context.theirs.arrange([need(context, key, 1)]);
  context.theirs.release(claim);
  assert.equal(context.theirs.status().length, 1);
  context.theirs.arrange([]);
  const [answered] = await publish(context, client, { from: context.fakes[1]!.url });
  assert.ok(answered?.ok, 'an answer still goes out where its request came from');
  await until(() => context.fakes[1]!.peers.size === 0);
  assert.equal(context.theirs.status(), []);
});

door('no more are held than may be, the first ones first', async (context) => {
  await start(context, { most: 1 });
  context.theirs.arrange([need(context, key, 2, 1)]);
  assert.equal(
    context.theirs.status().map(({ url }) => url),
    [context.fakes[2]!.url],
  );
  const refused = await context.theirs.claim(need(context, other, 1));
  assert.match(refused.ok ? '' : refused.refusal, 'on 1 relays of clients already');
  assert.ok((await context.theirs.claim(need(context, other, 2))).ok, 'one that is held already is no further one');
});

door.run();
