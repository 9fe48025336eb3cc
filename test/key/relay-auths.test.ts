import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { RelayAuths } from '../../src/key/relay-auths.ts';

type State = 'active' | 'inactive' | 'expected' | 'locked';

/** Keys that note who of them signed; time stands still until it is moved. */
function fleet(states: Record<string, State>) {
  const clock = { mono: () => time, now: () => 0 };
  let time = 1000;
  const signed: string[] = [];
  const auths = new RelayAuths({
    clock,
    get: (pubkey) =>
      states[pubkey] === undefined
        ? undefined
        : {
            state: states[pubkey],
            listens: states[pubkey] !== 'locked',
            errand: async () => {
              signed.push(pubkey);
              return { raw: `signed by ${pubkey}` } as never;
            },
          },
  });
  const advance = (ms: number) => {
    time += ms;
    auths.tick();
  };
  return { auths, signed, advance };
}

const keys = (name: string, count: number, state: State) =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`${name}${i}`, state]));

test('one relay that asks a whole fleet activates a handful of keys, and a few more a minute', async () => {
  const { auths, signed, advance } = fleet(keys('key', 10_000, 'inactive'));
  for (let i = 0; i < 10_000; i++) void auths.sign(`key${i}`, 'wss://relay.example', 'challenge');
  advance(0);
  assert.is(signed.length, 8);
  for (let second = 0; second < 60; second++) advance(1000);
  assert.is(signed.length, 8 + 30);
});

test('keys that a thread holds go first', async () => {
  const { auths, signed, advance } = fleet({ ...keys('inactive', 20, 'inactive'), ...keys('active', 20, 'active') });
  for (let i = 0; i < 20; i++) void auths.sign(`inactive${i}`, 'wss://relay.example', 'challenge');
  for (let i = 0; i < 20; i++) void auths.sign(`active${i}`, 'wss://relay.example', 'challenge');
  advance(0);
  assert.is(signed.filter((key) => key.startsWith('active')).length, 20);
  assert.ok(signed.slice(0, 20).every((key) => key.startsWith('active')));
});

test('a key that a sweep is about to open signs when it is open', async () => {
  const states: Record<string, State> = { key: 'expected' };
  const { auths, signed, advance } = fleet(states);
  const event = auths.sign('key', 'wss://relay.example', 'challenge');
  advance(1000);
  assert.equal(signed, []);
  states.key = 'inactive';
  advance(1000);
  assert.is(await event, 'signed by key');
});

test('locked keys and those that nobody knows do not sign, and are told so at once', async () => {
  const { auths, signed } = fleet({ locked: 'locked', here: 'active' });
  assert.is(await auths.sign('locked', 'wss://relay.example', 'challenge'), null);
  assert.is(await auths.sign('nobody', 'wss://relay.example', 'challenge'), null);
  assert.is(await auths.sign('here', 'wss://relay.example', 'challenge'), 'signed by here');
  assert.equal(signed, ['here']);
});

test.run();
