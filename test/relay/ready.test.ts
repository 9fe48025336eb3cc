/** What waits for the relays at start waits for those that come, and not for long for those that do not. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { RelayState, RelayStatus } from '../../src/relay/protocol.ts';
import { relaysReady } from '../../src/relay/ready.ts';

const status = (state: RelayState): RelayStatus => ({
  url: 'wss://relay.example',
  state,
  reason: null,
  roundTripMs: null,
  reconnects: 0,
  queued: 0,
});

test('all of them have to be ready', async () => {
  let looks = 0;
  await relaysReady({ status: () => [status('ready'), status(++looks > 2 ? 'ready' : 'connecting')] }, 60_000);
  assert.is(looks, 3);
});

test('one that cannot be reached holds nothing up for longer', async () => {
  let looks = 0;
  const looked = () => {
    looks++;
    return [status('connecting')];
  };
  await relaysReady({ status: looked }, 50);
  assert.ok(looks > 0);
});

test('without relays there is nothing to wait for', () => relaysReady({ status: () => [] }, 60_000));

test.run();
