import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Metrics } from '../../src/metrics.ts';
import { ObservedDaemon } from './daemon.ts';

/** Samples of one metric, without help and type. */
async function samples(metrics: Metrics, name: string): Promise<string[]> {
  const lines = (await metrics.registry.metrics()).split('\n');
  return lines.filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `)).sort();
}

test('requests by method and outcome; what was not answered by reason', async () => {
  const metrics = new Metrics();
  metrics.finished('sign_event', 'allowed', 3);
  metrics.finished('sign_event', 'allowed', 5);
  metrics.finished('ping', 'denied', 1);
  metrics.finished('ping', 'dropped: replay', 1);
  metrics.dropped('strangers: rate');
  assert.equal(await samples(metrics, 'redoubt_requests_total'), [
    'redoubt_requests_total{method="ping",outcome="denied"} 1',
    'redoubt_requests_total{method="sign_event",outcome="allowed"} 2',
  ]);
  assert.equal(await samples(metrics, 'redoubt_dropped_total'), [
    'redoubt_dropped_total{reason="replay"} 1',
    'redoubt_dropped_total{reason="strangers: rate"} 1',
  ]);
  // Asked twice, counted once.
  assert.is((await samples(metrics, 'redoubt_requests_total'))[1]?.split(' ').at(-1), '2');
  assert.equal(metrics.requests(), { allowed: 2, denied: 1, 'dropped: replay': 1 });
});
test('what clients and senders choose makes no label', async () => {
  const metrics = new Metrics();
  for (let i = 0; i < 1000; i++) {
    metrics.finished(`method ${i}`, 'invalid', 1);
    metrics.dropped(`reason ${i}`);
  }
  metrics.finished('constructor', 'invalid', 1);
  assert.equal(await samples(metrics, 'redoubt_requests_total'), [
    'redoubt_requests_total{method="other",outcome="invalid"} 1001',
  ]);
  const dropped = await samples(metrics, 'redoubt_dropped_total');
  assert.is(dropped.length, 65);
  assert.ok(dropped.includes('redoubt_dropped_total{reason="other"} 936'));
});
test('latencies: a histogram in seconds, quantiles of the last ones in ms', async () => {
  const metrics = new Metrics();
  assert.is(metrics.latency(), null);
  for (let ms = 1; ms <= 100; ms++) metrics.finished('ping', 'allowed', ms);
  assert.equal(metrics.latency(), { p50: 50, p95: 95, p99: 99 });
  assert.ok(
    (await samples(metrics, 'redoubt_request_seconds_bucket')).includes('redoubt_request_seconds_bucket{le="0.01"} 10'),
  );
  assert.equal(await samples(metrics, 'redoubt_request_seconds_count'), ['redoubt_request_seconds_count 100']);
  for (let i = 0; i < 2048; i++) metrics.finished('ping', 'allowed', 7);
  assert.equal(metrics.latency(), { p50: 7, p95: 7, p99: 7 });
});
test('what is dropped has no latency', () => {
  const metrics = new Metrics();
  metrics.finished('ping', 'dropped: busy', 1);
  assert.is(metrics.latency(), null);
});
test("the daemon's own gauges, nsecbunkerd's two among them", async () => {
  const metrics = new Metrics();
  metrics.observe(new ObservedDaemon());
  const one = async (name: string) => (await samples(metrics, name)).join('\n');
  assert.is(await one('redoubt_info'), 'redoubt_info{version="1.2.3",curve="wasm"} 1');
  assert.is(await one('redoubt_queue_depth'), 'redoubt_queue_depth 4');
  assert.is(await one('nsecbunkerd_keys_unlocked_total'), 'nsecbunkerd_keys_unlocked_total 3');
  assert.is(await one('nsecbunkerd_keys_locked_total'), 'nsecbunkerd_keys_locked_total 2');
  assert.is(
    await one('redoubt_keys'),
    'redoubt_keys{state="active"} 1\nredoubt_keys{state="locked"} 2\nredoubt_keys{state="unlocked"} 3',
  );
  assert.is(
    await one('redoubt_relay_state'),
    'redoubt_relay_state{relay="ws://127.0.0.1:4736",state="ready"} 1\nredoubt_relay_state{relay="wss://relay.example/",state="degraded"} 1',
  );
  assert.is(
    await one('redoubt_relay_round_trip_seconds'),
    'redoubt_relay_round_trip_seconds{relay="wss://relay.example/"} 0.25',
  );
  assert.match(await one('redoubt_relay_events_total'), 'redoubt_relay_events_total{event="published"} 7');
});
test.run();
