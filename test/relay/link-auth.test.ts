/** NIP-42 on one link: who signs what, when, and how often. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { systemClock } from '../../src/actor/clock.ts';
import { RelayCounts } from '../../src/relay/counts.ts';
import { type LinkLimits, RelayLink } from '../../src/relay/link.ts';
import { type AuthScript, authScript } from './auth-script.ts';
import { pause, type Someone, someone, until } from './events.ts';
import { FakeRelay, type Script } from './fake-relay.ts';

const daemon = someone();
const [one, two] = [someone(), someone()];
const client = someone();

interface Context {
  relay: FakeRelay;
  link: RelayLink;
  counts: RelayCounts;
  /** `daemon`, or the pubkey, of each signature that was asked for. */
  signed: string[];
  /** Keys that cannot sign. */
  unable: Set<string>;
}

const auth = suite<Context>('link auth', {} as Context);

const QUICK: Partial<LinkLimits> = { tickMs: 5, backoffMinMs: 10, backoffMaxMs: 40, usefulMs: 1e6 };

async function start(context: Context, script: Script, keys: Someone[] = [one], withDaemon = true): Promise<void> {
  context.relay = await FakeRelay.start(script);
  const { url } = context.relay;
  const event = (who: Someone, relay: string, challenge: string) => {
    const tags = [
      ['relay', relay],
      ['challenge', challenge],
    ];
    return who.event('', { kind: 22242, content: '', tags }).raw;
  };
  context.link = new RelayLink({
    url,
    clock: systemClock,
    random: Math.random,
    counts: context.counts,
    onEvent: () => {},
    log: () => {},
    limits: QUICK,
    auth: {
      ...(withDaemon && {
        daemon: async (relay, challenge) => {
          context.signed.push('daemon');
          return event(daemon, relay, challenge);
        },
      }),
      key: async (pubkey, relay, challenge) => {
        context.signed.push(pubkey);
        const who = keys.find((key) => key.pubkey === pubkey);
        return who === undefined || context.unable.has(pubkey) ? null : event(who, relay, challenge);
      },
    },
  });
  const pubkeys = keys.map(({ pubkey }) => pubkey);
  void context.link.setSubscriptions([{ id: 'keys-', filters: [{ kinds: [24133], '#p': pubkeys, limit: 0 }] }]);
  context.link.start();
}

const ready = (context: Context) => until(() => context.link.status().state === 'ready');
const publish = ({ link }: Context, author: Someone) => {
  const { head, raw } = author.event(client.pubkey);
  return link.publish(head.id, raw, head.pubkey);
};

auth.before.each((context) => {
  context.counts = new RelayCounts();
  context.signed = [];
  context.unable = new Set();
});
auth.after.each(async ({ link, relay }) => {
  link?.close();
  await relay?.stop();
});

auth('the daemon goes first, and where that is enough no key signs', async (context) => {
  const script = authScript('anyone');
  await start(context, script);
  await ready(context);
  assert.equal(await publish(context, one), { ok: true, reason: '' });
  assert.equal(context.signed, ['daemon']);
  assert.equal([script.authenticated, script.refused], [[daemon.pubkey], []]);
});

auth('where the relay still refuses, the keys of the subscription sign, each once', async (context) => {
  const script = authScript('owner');
  await start(context, script, [one, two]);
  await ready(context);
  assert.equal(await publish(context, one), { ok: true, reason: '' });
  assert.equal(context.signed, ['daemon', one.pubkey, two.pubkey]);
  assert.equal(script.authenticated, [daemon.pubkey, one.pubkey, two.pubkey]);
});

auth('an event that is refused is sent again when its author has signed', async (context) => {
  const script = authScript('owner');
  await start(context, script, [one]);
  const other = someone();
  assert.equal(await publish(context, one), { ok: true, reason: '' });
  context.unable.add(other.pubkey);
  assert.equal(await publish(context, other), { ok: false, reason: 'auth-required: who are you?' });
  // Refused before the daemon signed, and after it.
  assert.is(context.relay.framesOf('EVENT').filter(([, event]) => (event as Someone).pubkey === one.pubkey).length, 3);
});

auth("without the daemon's key the keys sign at once", async (context) => {
  const script = authScript('owner');
  await start(context, script, [one], false);
  await ready(context);
  assert.equal(script.authenticated, [one.pubkey]);
});

auth('on a new connection everything is signed anew', async (context) => {
  const script = authScript('owner');
  await start(context, script);
  await ready(context);
  context.relay.dropAll();
  await until(() => script.authenticated.length === 4);
  await ready(context);
  assert.equal(context.signed, ['daemon', one.pubkey, 'daemon', one.pubkey]);
});

auth('a key that cannot sign: the link says why, and nobody is asked again and again', async (context) => {
  context.unable.add(one.pubkey);
  await start(context, authScript('owner'));
  await until(() => context.link.status().state === 'degraded');
  await pause(200);
  assert.match(context.link.status().reason ?? '', 'auth-required');
  assert.equal(context.signed, ['daemon', one.pubkey]);
});

auth('a relay that takes no signature is asked with the keys too, and no more', async (context) => {
  const script: AuthScript = authScript('owner', { challenge: () => 'one' });
  const { onFrame } = script;
  script.onFrame = (frame, peer, relay) => {
    if (frame[0] !== 'AUTH') return onFrame!(frame, peer, relay);
    peer.send(['OK', (frame[1] as { id: string }).id, false, 'restricted: not you']);
  };
  await start(context, script);
  await until(() => context.signed.length === 2);
  await pause(200);
  assert.equal(context.signed, ['daemon', one.pubkey]);
  assert.is(context.counts.values['auth: refused'], 2);
});

auth(
  'challenges without end are signed once a minute; longer ones than 256 bytes, and empty ones, never',
  async (context) => {
    const relay: Script = {
      onConnect: (peer) => {
        for (const challenge of ['x'.repeat(257), 'é'.repeat(129), '', 'x'.repeat(200_000)])
          peer.send(['AUTH', challenge]);
        for (let i = 0; i < 2000; i++) peer.send(['AUTH', `challenge ${i}`]);
      },
      onFrame: (frame, peer) => {
        if (frame[0] === 'AUTH') peer.send(['OK', (frame[1] as { id: string }).id, false, 'restricted: never']);
        if (frame[0] === 'REQ') peer.send(['CLOSED', frame[1], 'restricted: never']);
      },
    };
    await start(context, relay);
    await until(() => context.signed.length >= 2 && context.counts.values['subscriptions closed'] > 5);
    assert.equal(context.signed, ['daemon', one.pubkey]);
    assert.is(context.counts.values['auth: challenge dropped'], 4);
  },
);

auth.run();
