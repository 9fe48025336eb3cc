import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { systemClock } from '../src/actor/clock.ts';
import { Metrics } from '../src/metrics.ts';
import { Overview } from '../src/overview.ts';

test("why no relay is ready leaves out what a relay's URL holds after the ?", async () => {
  const relay = { url: 'wss://relay.example/?token=hunter2', state: 'degraded', reason: 'slow', queued: 0 };
  const parts = {
    clock: systemClock,
    started: 0,
    metrics: new Metrics(),
    keys: () => ({ counts: () => ({}), all: () => [], events: {} }),
    relays: () => ({ status: () => [relay] }),
    clientRelays: () => ({ status: () => [] }),
    policy: () => ({ ask: async () => ({ writable: true }) }),
    curve: () => 'wasm',
    schemaVersion: () => 1,
    autounlock: () => null,
    lostKeys: () => null,
  };
  const overview = new Overview(parts as unknown as ConstructorParameters<typeof Overview>[0]);
  const { reasons } = await overview.health();
  assert.equal(reasons, ['no relay is ready (wss://relay.example/: slow)']);
});

test.run();
