import { SimplePool } from 'nostr-tools/pool';
import { type Event, finalizeEvent, generateSecretKey, getPublicKey, verifyEvent } from 'nostr-tools/pure';
import { Relay } from 'nostr-tools/relay';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { systemClock } from '../../src/actor/clock.ts';
import { EmbeddedRelay } from '../../src/relay/embedded.ts';
import { unixNow, until } from './events.ts';

const daemon = generateSecretKey();
const client = generateSecretKey();
const [daemonPubkey, clientPubkey] = [getPublicKey(daemon), getPublicKey(client)];

const clients = suite<{ relay: EmbeddedRelay }>('embedded relay with nostr-tools', { relay: undefined as never });

function sign(secret: Uint8Array, to: string, content: string, kind = 24133): Event {
  return finalizeEvent({ kind, created_at: unixNow(), content, tags: [['p', to]] }, secret);
}

/** A daemon that answers every event to it with the same content. */
clients.before.each(async (context) => {
  context.relay = new EmbeddedRelay({
    port: 0,
    clock: systemClock,
    random: Math.random,
    isOurs: (pubkey) => pubkey === daemonPubkey,
    verify: async (raw) => verifyEvent(JSON.parse(raw)),
    software: { name: 'redoubt', version: '0' },
  });
  context.relay.onEvent(({ head, raw, verdict }) => {
    const event = JSON.parse(raw) as Event;
    const genuine = verifyEvent(event);
    verdict!(genuine);
    if (!genuine) return;
    const { id, pubkey, kind, created_at, ...rest } = sign(daemon, head.pubkey, `re: ${event.content}`);
    const answer = { id, pubkey, kind, created_at, ...rest };
    context.relay.inject(JSON.stringify(answer), { id, pubkey, kind, created_at, p: head.pubkey });
  });
  await context.relay.start();
});

clients.after.each(async ({ relay }) => relay.close());

clients('Relay: subscribe, publish, answer', async (context) => {
  const relay = await Relay.connect(context.relay.url!);
  const answers: string[] = [];
  await new Promise<void>((resolve) => {
    relay.subscribe([{ kinds: [24133], '#p': [clientPubkey], limit: 0 }], {
      onevent: (event) => answers.push(event.content),
      oneose: resolve,
    });
  });
  for (let i = 0; i < 10; i++) await relay.publish(sign(client, daemonPubkey, `${i}`));
  await until(() => answers.length === 10);
  assert.equal(
    answers,
    Array.from({ length: 10 }, (_, i) => `re: ${i}`),
  );
  relay.close();
});

clients('Relay: a refusal reaches the one who published', async (context) => {
  const relay = await Relay.connect(context.relay.url!);
  const refused = await relay.publish(sign(client, daemonPubkey, 'x', 1)).catch((error: Error) => error.message);
  assert.match(String(refused), 'blocked:');
  relay.close();
});

clients('SimplePool: a subscription since now, and one for every request', async (context) => {
  const pool = new SimplePool();
  const urls = [context.relay.url!];
  const answers: string[] = [];
  const closer = pool.subscribe(
    urls,
    { kinds: [24133, 24134], '#p': [clientPubkey], since: unixNow() },
    { onevent: (event) => answers.push(event.content) },
  );
  await Promise.all(pool.publish(urls, sign(client, daemonPubkey, 'first')));
  await until(() => answers.length === 1);
  closer.close();
  for (let i = 0; i < 5; i++) {
    const answered = new Promise<string>((resolve) => {
      const sub = pool.subscribe(
        urls,
        { kinds: [24133], authors: [daemonPubkey], '#p': [clientPubkey], limit: 0 },
        {
          onevent: (event) => {
            sub.close();
            resolve(event.content);
          },
          oneose: () => void pool.publish(urls, sign(client, daemonPubkey, `request ${i}`)),
        },
      );
    });
    assert.is(await answered, `re: request ${i}`);
  }
  pool.close(urls);
});

clients.run();
