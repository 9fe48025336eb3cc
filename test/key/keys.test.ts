/** Whose events go to a key's queue. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { systemClock } from '../../src/actor/clock.ts';
import { DEFAULT_RESTARTS } from '../../src/actor/restarts.ts';
import { Forged } from '../../src/key/forged.ts';
import { Keys, type KeysOptions } from '../../src/key/keys.ts';
import type { Strangers } from '../../src/key/strangers.ts';
import type { Incoming } from '../../src/relay/protocol.ts';
import { until } from '../support/until.ts';

const KEY = 'a'.repeat(64);
/** Of a later key. */
const NEXT = 'd'.repeat(64);
const CLIENT = 'b'.repeat(64);

/** `taken` counts threads that were asked for, `refused` and `examined` what else became of events. */
function keysWith(
  options: Pick<KeysOptions, 'clients' | 'isClient'>,
  requestDeadline = 5_000,
  thread: Promise<null> = new Promise(() => {}),
) {
  const seen = { taken: 0, examined: 0, refused: [] as string[] };
  const limits = { requestDeadline };
  const around = { clock: systemClock, keyQueue: 16, limits, dropped: () => {}, log: () => {} };
  const keys = new Keys(around as unknown as ConstructorParameters<typeof Keys>[0], {
    maxActive: 1,
    ...options,
    blanks: {
      take: () => {
        seen.taken++;
        return thread;
      },
    },
    strangers: { examine: async () => `examined ${++seen.examined}` } as unknown as Strangers,
  });
  const route = (p = KEY) => {
    const head = { id: 'c'.repeat(64), pubkey: CLIENT, p, kind: 24133, created_at: 0 };
    const verdict = (ok: boolean, reason = '') => void seen.refused.push(`${ok} ${reason}`);
    keys.route({ head, raw: '', from: 'embedded', arrived: systemClock.mono(), verdict } satisfies Incoming);
  };
  return { keys, seen, route };
}

/** An event to one unlocked key of many clients. */
function routed(isClient: KeysOptions['isClient'], requestDeadline?: number, thread?: Promise<null>) {
  const { keys, seen, route } = keysWith({ clients: async () => null, isClient }, requestDeadline, thread);
  keys.add('key', KEY).unlock();
  route();
  return seen;
}

test('a policy actor that is on its way up again is asked until it answers', async () => {
  let asked = 0;
  const seen = routed(async () => {
    if (++asked < 3) throw new Error('closed');
    return true;
  });
  await until('its thread is asked for', () => seen.taken === 1);
  assert.equal([asked, seen.examined, seen.refused], [3, 0, []]);
});

test('one that never answers has the event refused, and nobody is taken for a client', async () => {
  const seen = routed(() => Promise.reject(new Error('closed')), 100);
  await until('it is refused', () => seen.refused.length === 1);
  assert.equal(seen, { taken: 0, examined: 0, refused: ['false error: busy'] });
});

test('who is none of the clients goes through the gate for strangers', async () => {
  const seen = routed(async () => false);
  await until('it is examined', () => seen.refused.length === 1);
  assert.equal([seen.taken, seen.examined], [0, 1]);
});

test('where no thread can be started it is tried again, and the key is not at fault', async () => {
  const seen = routed(async () => true, undefined, Promise.resolve(null));
  // One more than a key may crash.
  await until('it was tried often', () => seen.taken > DEFAULT_RESTARTS.max, 10_000);
  assert.equal(seen.refused, [], 'its event waits');
});

test('who is forged again and again is verified first, until nobody forges it any more', () => {
  const forged = new Forged();
  for (let n = 0; n < 3; n++) {
    assert.not(forged.suspects(CLIENT, n));
    forged.note(CLIENT, n);
  }
  assert.ok(forged.suspects(CLIENT, 60_001));
  assert.not(forged.suspects(KEY, 3), 'and nobody else is');
  assert.not(forged.suspects(CLIENT, 60_002));
  forged.note(CLIENT, 60_002);
  assert.not(forged.suspects(CLIENT, 60_003));
});

test('who was bound to a deleted key is a stranger to the next one of its name', async () => {
  let clients = [CLIENT];
  const { keys, seen, route } = keysWith({ clients: async () => clients, isClient: async () => false });
  keys.add('key', KEY).unlock();
  route();
  await until('the client is known', () => seen.taken === 1);
  keys.remove(KEY);
  clients = [];
  keys.add('key', NEXT).unlock();
  route(NEXT);
  await until('it is examined', () => seen.examined === 1);
  assert.is(seen.taken, 1);
});

test('who is bound to a key that is deleted while that is being read counts for no other key', async () => {
  const answers: ((clients: string[]) => void)[] = [];
  const clients = () => new Promise<string[]>((resolve) => void answers.push(resolve));
  const { keys, seen, route } = keysWith({ clients, isClient: async () => false });
  keys.add('key', KEY).unlock();
  route();
  keys.remove(KEY);
  answers[0]!([CLIENT]);
  await until('the event is refused', () => seen.refused.length === 1);
  keys.add('key', NEXT).unlock();
  route(NEXT);
  answers[1]?.([]);
  await until('it is examined', () => seen.examined === 1);
  assert.is(seen.taken, 0);
});

test.run();
