// deadline: 600 s
/**
 * Mutated events through a whole key actor that is allowed nothing: shape, clock, id, signature, decryption, request,
 * rules. Whatever comes, it is answered with an error or not at all, nothing is signed, and the heap stays as it was.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { asSecret } from '../../src/actor/protocol.ts';
import { loadCurve } from '../../src/curve/load.ts';
import { KeyActor, type ToMain } from '../../src/key/actor.ts';
import type { Policy } from '../../src/key/policy-door.ts';
import type { KeyLimits, Lane, Outcome } from '../../src/key/protocol.ts';
import { StageReporter } from '../../src/metrics/stage-reporter.ts';
import { deriveReplayKey } from '../../src/nip46/envelope.ts';
import { eventId } from '../../src/nip46/event.ts';
import { bytesToHex, hexToBytes } from '../../src/nip46/hex.ts';
import * as nip04 from '../../src/nip46/nip04.ts';
import { Conversation, conversationKey } from '../../src/nip46/nip44.ts';
import type { SignedEvent } from '../../src/nip46/signed.ts';
import type { Decision } from '../../src/policy/protocol.ts';
import { forgeNip44 } from '../support/forge-nip44.ts';
import { CANARY, CANARY_KEY, hasTrace, SCALE, SEED } from './layer.ts';
import { NOW, TEMPLATE } from './layers/wire.ts';
import { mutatedJson, mutatedText, rawText } from './mutate.ts';

const CASES = Number(process.env.REDOUBT_FUZZ_EVENTS ?? 12_000) * SCALE;
/** After so many events every memory of the actor is as full as it gets. */
const WARM = Math.min(20_000, CASES / 4);
const BATCH = 10_000;
const GROWTH = 4 * 2 ** 20;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

const curve = await loadCurve();
const key = curve.openKey(asSecret(hexToBytes(CANARY_KEY)));
const pubkey = bytesToHex(key.publicKey);
const clientKey = curve.openKey(asSecret(new Uint8Array(32).fill(5)));
const client = bytesToHex(clientKey.publicKey);
const sharedX = clientKey.sharedX(key.publicKey);
const conversation = new Conversation(clientKey.sharedX(key.publicKey));
const plainKey = conversationKey(sharedX);

const clock = { now: () => NOW * 1000, mono: () => 1000 };
const limits: KeyLimits = {
  maxClockSkew: 600,
  maxFutureEvent: 900,
  answerUnknown: 'all',
  // What is over a limit would not get any further.
  clientRate: 1e9,
  clientBurst: 1e9,
  requestDeadline: 10_000,
  maxContent: 65_536,
};

/** Most come as a bound client's do. */
const LANES: readonly Lane[] = ['stranger', 'overflow'];

let seq = 0;
let signatures = 0;
let asked = 0;
let done: { seq: number; outcome: Outcome; response: SignedEvent | null }[] = [];
const outcomes: Record<string, number> = {};

const main: ToMain = {
  tell: (type, body) => {
    if (type === 'done') done.push(body as (typeof done)[number]);
  },
  tellSoon: () => {},
  ask: () => Promise.reject(new Error('no admin is there')),
};

/** Refuses, each time for the next of the reasons; now and then an admin would have to be asked. */
const refusals: (Decision & { ok: false })[] = [
  { ok: false, refusal: 'not authorized' },
  { ok: false, refusal: 'not authorized', ask: { label: null, stranger: true } },
  { ok: false, refusal: 'usage limit reached' },
  { ok: false, refusal: 'no binding' },
  { ok: false, refusal: 'audit log unavailable' },
];
const refuse = async () => refusals[asked++ % refusals.length]!;
const policy: Policy = { attach: () => {}, decide: refuse, connect: refuse, logout: refuse, relayAuth: refuse };
const counted = Object.assign(Object.create(key) as typeof key, {
  publicKey: key.publicKey,
  sharedX: (other: Uint8Array) => key.sharedX(other),
  sign: (hash: Uint8Array) => {
    signatures++;
    return key.sign(hash);
  },
});
const replayKey = deriveReplayKey(asSecret(hexToBytes(CANARY_KEY)));
const times = new StageReporter(() => {});
const actor = new KeyActor(main, curve, counted, replayKey, policy, { limits, relays: [] }, clock, times);

/** What is mutated; around it everything is genuine. */
type Level = 'event' | 'signed' | 'ciphertext' | 'padding' | 'request' | 'template';
interface Case {
  level: Level;
  text: string;
}

const REQUESTS = [
  { id: 'a1', method: 'sign_event', params: [JSON.stringify(TEMPLATE)] },
  { id: 7, method: 'connect', params: [pubkey, CANARY, 'sign_event:1', '{"name":"x"}'] },
  { id: 'b', method: 'nip44_decrypt', params: [client, 'text'] },
  { id: 'c', method: 'nip04_encrypt', params: [client, CANARY] },
  { id: 'd', method: 'ping' },
  { id: 'e', method: 'switch_relays', params: [] },
  { id: 'f', method: 'logout', params: null },
  { id: 'g', method: 'nosuch', params: ['', null] },
];
const unsigned = { created_at: NOW, kind: 24_133, tags: [['p', pubkey]], content: '' };
const ping = JSON.stringify(REQUESTS[4]);
const genuine = JSON.parse(signed({ ...unsigned, content: conversation.encrypt(ping) })) as object;
/** Its id is its own; of the genuine one's copies the first alone would be looked at for its signature. */
const forged = { ...(JSON.parse(signed({ ...unsigned, content: 'never seen' })) as object), sig: '12'.repeat(64) };

const of = (level: Level) => (text: string) => ({ level, text });
const cases: fc.Arbitrary<Case> = fc.oneof(
  { weight: 7, arbitrary: mutatedJson([genuine, forged]).map(of('event')) },
  { weight: 1, arbitrary: rawText.map(of('event')) },
  { weight: 2, arbitrary: mutatedJson([{ ...unsigned, content: conversation.encrypt(ping) }]).map(of('signed')) },
  {
    weight: 2,
    arbitrary: mutatedText([conversation.encrypt(ping), nip04.encrypt(ping, sharedX)]).map(of('ciphertext')),
  },
  { weight: 1, arbitrary: mutatedText([`\0${String.fromCharCode(ping.length)}${ping}`]).map(of('padding')) },
  { weight: 4, arbitrary: mutatedJson(REQUESTS).map(of('request')) },
  { weight: 3, arbitrary: mutatedJson([TEMPLATE, { ...TEMPLATE, pubkey }]).map(of('template')) },
);

/** The event of a case, as a relay would bring it. */
function eventOf({ level, text }: Case, serial: number): string {
  const nonce = new Uint8Array(32);
  new DataView(nonce.buffer).setUint32(0, serial);
  const carrying = (message: string) => signed({ ...unsigned, content: conversation.encrypt(message || ' ', nonce) });
  switch (level) {
    case 'event':
      return text;
    case 'signed':
      return resigned(text);
    case 'ciphertext':
      return signed({
        ...unsigned,
        tags: [
          ['p', pubkey],
          ['n', `${serial}`],
        ],
        content: text.toWellFormed(),
      });
    case 'padding': {
      const padded = Buffer.alloc(2 + Math.max(32, Math.ceil(text.length / 32) * 32));
      padded.write(text, 'latin1');
      return signed({ ...unsigned, content: forgeNip44(plainKey, padded, nonce) });
    }
    case 'request':
      return carrying(text);
    case 'template':
      return carrying(JSON.stringify({ id: `t${serial}`, method: 'sign_event', params: [text] }));
    default:
      return level satisfies never;
  }
}

/** An event whose members were mutated, with the id and the signature that they call for, where they can have one. */
function resigned(text: string): string {
  try {
    return signed({ ...unsigned, ...(JSON.parse(text) as typeof unsigned) });
  } catch {
    return text;
  }
}

function signed(event: typeof unsigned): string {
  const { created_at, kind, tags, content } = event;
  const id = eventId(client, created_at, kind, tags, content);
  return JSON.stringify({ ...event, pubkey: client, id, sig: bytesToHex(clientKey.sign(hexToBytes(id))) });
}

/** One event: one end, no signature but that of the response, and that one an error. */
async function handled(given: Case): Promise<void> {
  done = [];
  const before = signatures;
  const mine = ++seq;
  const lane = LANES[mine % 16] ?? 'normal';
  await actor.handle({ seq: mine, raw: eventOf(given, mine), arrived: 1000, lane, again: mine % 7 === 0 });
  assert.is(done.length, 1);
  const [{ seq: ended, outcome, response }] = done as [(typeof done)[number]];
  assert.is(ended, mine);
  assert.is.not(outcome, 'allowed');
  outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
  assert.is(signatures - before, response === null ? 0 : 1, 'something else than the response was signed');
  signatures = before;
  if (response !== null) assertRefusal(response.raw);
}

function assertRefusal(raw: string): void {
  const { content } = JSON.parse(raw) as { content: string };
  const bytes = content.includes('?iv=')
    ? nip04.decrypt(content, sharedX, content.length)
    : conversation.decrypt(content, content.length);
  const { result, error } = JSON.parse(Buffer.from(bytes).toString()) as { result: string; error: string };
  assert.is(result, '');
  assert.ok(error.length > 0 && error.length <= 256, error);
  // The name of an unknown method is the one thing that is quoted.
  assert.not.ok(hasTrace(error), error);
}

async function run(count: number, seed: number): Promise<void> {
  for (let left = count, i = 0; left > 0; left -= BATCH, i++) {
    const numRuns = Math.min(left, BATCH);
    await fc.assert(fc.asyncProperty(cases, handled), { numRuns, seed: seed + i, includeErrorInReport: true });
  }
}

test(`${CASES} mutated events: no crash, no signature, the heap as it was`, async () => {
  await run(WARM, SEED + 1_000_000);
  collect();
  const before = process.memoryUsage().heapUsed;
  await run(CASES - WARM, SEED);
  collect();
  const after = process.memoryUsage().heapUsed;
  const figures = {
    cases: CASES,
    crashes: 0,
    signatures,
    policyAsked: asked,
    heapBefore: before,
    heapAfter: after,
    outcomes,
  };
  console.log(`R11 ${JSON.stringify(figures)}`);
  assert.is(signatures, 0);
  assert.ok(after - before < GROWTH, `the heap went from ${before} to ${after} bytes`);
  // The mutants reach every step.
  for (const reached of [
    'invalid',
    'denied',
    'dropped: signature',
    'dropped: undecryptable',
    'dropped: not a request',
  ]) {
    assert.ok(outcomes[reached]! > 0, reached);
  }
});

test.run();
