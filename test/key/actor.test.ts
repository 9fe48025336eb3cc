/** One event on its way through a key actor, in this thread: real events of a real client, and a policy that says yes. */
import { finalizeEvent, generateSecretKey, getPublicKey, nip44, verifyEvent } from 'nostr-tools';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { asSecret } from '../../src/actor/protocol.ts';
import { nobleCurve } from '../../src/curve/noble.ts';
import { KeyActor } from '../../src/key/actor.ts';
import type { Policy } from '../../src/key/policy-door.ts';
import { StageReporter } from '../../src/metrics/stage-reporter.ts';
import { deriveReplayKey } from '../../src/nip46/envelope.ts';
import type { SignedEvent } from '../../src/nip46/signed.ts';
import type { Asked } from '../../src/policy/protocol.ts';
import { random } from '../keystore/setup.ts';
import { movableClock } from '../policy/rig.ts';

const KIND = 24133;
const MAX_CONTENT = 4096;
const DEADLINE_MS = 10_000;

const clock = movableClock();
const privateKey = random(32);
const pubkey = getPublicKey(privateKey);
const client = generateSecretKey();
const conversation = nip44.getConversationKey(client, pubkey);

/** What the policy takes to decide, ms. */
let decidesIn = 0;
const yes = async () => {
  clock.advance(decidesIn);
  return { ok: true as const, grant: 'rule:1' };
};
const policy: Policy = { attach: () => {}, decide: yes, connect: yes, logout: yes, relayAuth: yes };

const nobody = () => Promise.reject(new Error('no admin is here'));

interface Done {
  outcome: string;
  response: SignedEvent | null;
}

function actor(decisions = policy, ask: () => Promise<unknown> = nobody) {
  const done: Done[] = [];
  const main = {
    tell: (type: string, body: unknown) => void (type === 'done' && done.push(body as Done)),
    tellSoon: () => {},
    ask,
  };
  const secret = asSecret(new Uint8Array(privateKey));
  const key = nobleCurve(random).openKey(secret);
  const limits = {
    maxClockSkew: 600,
    maxFutureEvent: 600,
    clientRate: 1000,
    clientBurst: 1000,
    requestDeadline: DEADLINE_MS,
    maxContent: MAX_CONTENT,
    answerUnknown: 'none' as const,
  };
  const settings = { limits, relays: [] };
  const times = new StageReporter(() => {});
  const one = new KeyActor(
    main as never,
    nobleCurve(random),
    key,
    deriveReplayKey(secret),
    decisions,
    settings,
    clock,
    times,
  );
  const handle = async (event: object): Promise<Done> => {
    await one.handle({ seq: 1, raw: JSON.stringify(event), arrived: clock.mono(), lane: 'normal', again: false });
    return done.at(-1)!;
  };
  return { one, key, handle };
}

function request(method: string, params: string[]) {
  const text = JSON.stringify({ id: `${Math.random()}`, method, params });
  return sealed(nip44.encrypt(text, conversation));
}

function sealed(content: string) {
  const created_at = Math.floor(clock.now() / 1000);
  // nostr-tools marks what it has verified; what goes over a wire is not marked.
  return JSON.parse(JSON.stringify(finalizeEvent({ kind: KIND, created_at, tags: [['p', pubkey]], content }, client)));
}

const template = () => JSON.stringify({ kind: 1, content: 'hello', tags: [] });

function read({ response }: Done): { result: string; error?: string } {
  assert.ok(response);
  return JSON.parse(nip44.decrypt(JSON.parse(response.raw).content, conversation));
}

test.before.each(() => {
  decidesIn = 0;
});

test('an event is signed, and changes nothing of the template', async () => {
  const done = await actor().handle(request('sign_event', [template()]));
  assert.is(done.outcome, 'allowed');
  const signed = JSON.parse(read(done).result);
  assert.is(signed.content, 'hello');
  assert.is(signed.pubkey, pubkey);
  assert.ok(verifyEvent(signed));
});

test('an event whose id or signature is not its own is not opened, and does not keep the true one out', async () => {
  const { handle } = actor();
  const event = request('sign_event', [template()]);
  const other = request('ping', []);
  for (const forged of [{ sig: other.sig }, { id: other.id }, { content: other.content }]) {
    assert.equal(await handle({ ...event, ...forged }), { ...DROPPED, outcome: 'dropped: signature' });
  }
  assert.is((await handle(event)).outcome, 'allowed');
});

const DROPPED = { seq: 1, method: '', response: null };

test('the same event a second time is dropped', async () => {
  const { handle } = actor();
  const event = request('ping', []);
  assert.is((await handle(event)).outcome, 'allowed');
  assert.equal(await handle(event), { ...DROPPED, outcome: 'dropped: replay' });
});

test('content is limited before it is verified: limit, limit + 1', async () => {
  const { handle } = actor();
  // No payload: what is short enough is looked into, and what is longer is not.
  assert.is((await handle(sealed('x'.repeat(MAX_CONTENT)))).outcome, 'dropped: undecryptable');
  assert.is((await handle(sealed('x'.repeat(MAX_CONTENT + 1)))).outcome, 'invalid');
});

test('a request whose deadline passed while it was decided is not signed', async () => {
  decidesIn = DEADLINE_MS;
  for (const params of [
    ['sign_event', template()],
    ['nip44_encrypt', getPublicKey(client), 'text'],
  ] as const) {
    const [method, ...rest] = params;
    const done = await actor().handle(request(method, rest));
    assert.is(done.outcome, 'expired');
    assert.equal(read(done).error, 'request expired');
  }
});

test('a request whose deadline passed while an admin was asked is not authorized', async () => {
  const ask = { label: null, stranger: false };
  // As the way to the policy actor answers: too late is no decision.
  const asks = async ({ expires }: Pick<Asked, 'expires'>) =>
    clock.mono() < expires
      ? { ok: false as const, refusal: 'not authorized' as const, ask }
      : { ok: false as const, refusal: 'audit log unavailable' as const };
  const silent = async () => {
    clock.advance(DEADLINE_MS);
    return { verdict: 'no', pass: null };
  };
  const done = await actor({ ...policy, decide: asks }, silent).handle(request('sign_event', [template()]));
  assert.is(done.outcome, 'denied');
  assert.is(read(done).error, 'not authorized');
});

test('what is a message of the RPC is decrypted for nobody', async () => {
  const third = generateSecretKey();
  const theirs = nip44.getConversationKey(third, pubkey);
  const decrypt = async (text: string) => {
    const { handle } = actor();
    return read(await handle(request('nip44_decrypt', [getPublicKey(third), nip44.encrypt(text, theirs)])));
  };
  assert.is((await decrypt('hello')).result, 'hello');
  for (const text of ['{"id":"1","method":"sign_event","params":[]}', '{"id":"1","result":"ack"}']) {
    const { result, error } = await decrypt(text);
    assert.equal([result, error], ['', 'not authorized']);
  }
});

test('a wiped actor holds no key that signs', async () => {
  const { one, key } = actor();
  one.wipe();
  assert.throws(() => key.sign(random(32)), /was wiped/);
});

test.run();
