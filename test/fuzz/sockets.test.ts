/** Mutated frames over real sockets: to the embedded relay, and from a relay to a link. Both work on afterwards. */
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { systemClock } from '../../src/actor/clock.ts';
import type { LogLine } from '../../src/policy/protocol.ts';
import { RelayCounts } from '../../src/relay/counts.ts';
import { EmbeddedRelay } from '../../src/relay/embedded.ts';
import { readHead, type WireEvent } from '../../src/relay/head.ts';
import { RelayLink } from '../../src/relay/link.ts';
import { someone, until } from '../relay/events.ts';
import { FakeRelay, type Peer } from '../relay/fake-relay.ts';
import { RawClient } from '../relay/raw-client.ts';
import { SCALE, SEED } from './layer.ts';
import { EVENT, SIGNER } from './layers/wire.ts';
import { mutatedJson, rawText } from './mutate.ts';

/** Rounds of 40 frames. */
const ROUNDS = Number(process.env.REDOUBT_FUZZ_ROUNDS ?? 60) * SCALE;
const FRAMES = 40;
const MAX_CONTENT = 4_096;
const alice = someone();
const figures = { framesToRelay: 0, framesFromRelay: 0, crashes: 0, handedOn: 0 };

const rounds = (frame: fc.Arbitrary<string>) => fc.array(frame, { minLength: FRAMES, maxLength: FRAMES });
const report = { numRuns: ROUNDS, seed: SEED, includeErrorInReport: true };

/** What is handed on is an event, and its text is that event. */
function assertWhole(events: { head: WireEvent['head']; raw: string }[]): void {
  for (const { head, raw } of events) {
    const read = readHead(JSON.parse(raw), MAX_CONTENT);
    assert.ok(typeof read !== 'string', String(read));
    assert.equal(read.head, head);
    figures.handedOn++;
  }
  events.length = 0;
}

test(`the embedded relay, ${ROUNDS} rounds`, async () => {
  const incoming: { head: WireEvent['head']; raw: string }[] = [];
  const relay = new EmbeddedRelay({
    port: 0,
    clock: systemClock,
    random: Math.random,
    isOurs: (pubkey) => pubkey === SIGNER,
    verify: async () => false,
    software: { name: 'redoubt', version: '0' },
    limits: { maxContent: MAX_CONTENT, framesPerSecond: 1e6, frameBurst: 1e6, byteBurst: 2 ** 40 },
  });
  relay.onEvent((event) => {
    incoming.push(event);
    event.verdict?.(false, '');
  });
  await relay.start();
  const filter = { kinds: [24_133], authors: [SIGNER], '#p': [SIGNER], '#t': ['a'], since: 1, limit: 0 };
  const frames = fc.oneof(
    {
      weight: 9,
      arbitrary: mutatedJson([
        ['EVENT', EVENT],
        ['EVENT', { ...EVENT, kind: 1 }],
        ['REQ', 's', filter, {}],
        ['CLOSE', 's'],
      ]),
    },
    { weight: 1, arbitrary: rawText },
  );
  let client = await RawClient.connect(relay.url!);
  try {
    await fc.assert(
      fc.asyncProperty(rounds(frames), async (texts) => {
        if (client.closed !== null) client = await RawClient.connect(relay.url!);
        for (const text of texts) client.send(text);
        figures.framesToRelay += texts.length;
        client.send(['REQ', 'the last', { kinds: [] }]);
        await until(
          () => client.closed !== null || client.frames.some(([type, id]) => type === 'EOSE' && id === 'the last'),
        );
        client.send(['CLOSE', 'the last']);
        // Each frame has one answer at most, and none says much.
        assert.ok(client.frames.length <= texts.length + 2);
        for (const frame of client.frames) assert.ok(JSON.stringify(frame).length < 1_000);
        client.frames.length = 0;
        assertWhole(incoming);
      }),
      report,
    );
    const other = await RawClient.connect(relay.url!);
    await other.subscribe('good', { kinds: [24_133] });
    other.close();
  } finally {
    client.close();
    await relay.close();
  }
});

test(`a link to an outside relay, ${ROUNDS} rounds`, async () => {
  const events: WireEvent[] = [];
  const lines: LogLine[] = [];
  const fake = await FakeRelay.start();
  const link = new RelayLink({
    url: fake.url,
    clock: systemClock,
    random: Math.random,
    counts: new RelayCounts(),
    onEvent: (event) => events.push(event),
    log: (line) => lines.push(line),
    limits: { tickMs: 5, backoffMinMs: 10, backoffMaxMs: 40, usefulMs: 1e6, maxContent: MAX_CONTENT },
  });
  void link.setSubscriptions([{ id: 'keys', filters: [{ kinds: [24_133], '#p': [SIGNER], limit: 0 }] }]);
  link.start();
  const frames = fc.oneof(
    {
      weight: 9,
      arbitrary: mutatedJson([
        ['EVENT', 'keys', EVENT],
        ['OK', EVENT.id, false, 'rate-limited: slow\u001b[2J down'],
        ['EOSE', 'keys'],
        ['CLOSED', 'keys', 'auth-required: \u202e x'],
        ['NOTICE', 'a\u0007b'],
        ['AUTH', 'challenge'],
      ]),
    },
    { weight: 1, arbitrary: rawText },
  );
  const connected = async (): Promise<Peer> => {
    await until(() => fake.peers.size > 0 && link.status().state !== 'closed');
    return [...fake.peers].at(-1)!;
  };
  /** A genuine event comes through, whatever came before it. */
  const stillReads = async () => {
    for (;;) {
      const { head, raw } = alice.event(SIGNER);
      (await connected()).send(`["EVENT","keys",${raw}]`);
      const patience = Date.now() + 500;
      await until(() => Date.now() > patience || events.some((event) => event.head.id === head.id));
      // On a connection that is just being made anew it may be lost.
      if (events.some((event) => event.head.id === head.id)) return;
    }
  };
  try {
    await fc.assert(
      fc.asyncProperty(rounds(frames), async (texts) => {
        const peer = await connected();
        for (const text of texts) peer.send(text);
        figures.framesFromRelay += texts.length;
        await stillReads();
        assertWhole(events);
        for (const { message, fields } of lines) {
          assert.not.match(message, /[\p{Cc}\p{Cf}]/u);
          for (const value of Object.values(fields))
            assert.ok(String(value).length < 600 && !/[\p{Cc}\p{Cf}]/u.test(String(value)));
        }
        lines.length = 0;
      }),
      report,
    );
  } finally {
    link.close();
    await fake.stop();
  }
});

test.after(() => console.log(`R11 ${JSON.stringify(figures)}`));

test.run();
