import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { StageReporter } from '../../src/metrics/stage-reporter.ts';
import type { StageReport } from '../../src/metrics/stage-times.ts';
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
    (await samples(metrics, 'redoubt_request_seconds_bucket')).includes(
      'redoubt_request_seconds_bucket{le="0.01",stage="total"} 10',
    ),
  );
  assert.equal(await samples(metrics, 'redoubt_request_seconds_count'), [
    'redoubt_request_seconds_count{stage="total"} 100',
  ]);
  for (let i = 0; i < 2048; i++) metrics.finished('ping', 'allowed', 7);
  assert.equal(metrics.latency(), { p50: 7, p95: 7, p99: 7 });
});
test('times of threads are added up by stage: what a thread told is not lost, and nothing is told twice', async () => {
  const metrics = new Metrics();
  const reports: StageReport[] = [];
  const thread = new StageReporter((report) => reports.push(report));
  thread.observe('verify', 0.3);
  thread.observe('verify', 40_000);
  thread.observe('commit', 4);
  thread.flush();
  thread.flush();
  assert.is(reports.length, 1);
  for (const report of [...reports, ...reports]) metrics.times.add(report);
  const buckets = await samples(metrics, 'redoubt_request_seconds_bucket');
  for (const [le, stage, count] of [
    ['0.0002', 'verify', 0],
    ['0.0005', 'verify', 2],
    ['30', 'verify', 2],
    ['+Inf', 'verify', 4],
    ['0.002', 'commit', 0],
    ['0.005', 'commit', 2],
  ] as const) {
    const line = `redoubt_request_seconds_bucket{le="${le}",stage="${stage}"} ${count}`;
    assert.ok(buckets.includes(line), line);
  }
  assert.equal(await samples(metrics, 'redoubt_request_seconds_sum'), [
    'redoubt_request_seconds_sum{stage="commit"} 0.008',
    'redoubt_request_seconds_sum{stage="verify"} 80.0006',
  ]);
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
  assert.is(
    await one('redoubt_queue_depth'),
    'redoubt_queue_depth{queue="keys"} 4\nredoubt_queue_depth{queue="policy"} 6\nredoubt_queue_depth{queue="publish"} 5',
  );
  assert.is(await one('nsecbunkerd_keys_unlocked_total'), 'nsecbunkerd_keys_unlocked_total 3');
  assert.is(await one('nsecbunkerd_keys_locked_total'), 'nsecbunkerd_keys_locked_total 2');
  assert.is(
    await one('redoubt_keys'),
    'redoubt_keys{state="active"} 1\nredoubt_keys{state="locked"} 2\nredoubt_keys{state="quarantined"} 1\nredoubt_keys{state="unlocked"} 3',
  );
  assert.is(
    await one('redoubt_relay_state'),
    'redoubt_relay_state{relay="ws://127.0.0.1:4736",state="ready"} 1\nredoubt_relay_state{relay="wss://relay.example/",state="degraded"} 1',
  );
  assert.is(
    await one('redoubt_relay_round_trip_seconds'),
    'redoubt_relay_round_trip_seconds{relay="wss://relay.example/"} 0.25',
  );
  assert.is(
    await one('redoubt_relay_reconnects_total'),
    'redoubt_relay_reconnects_total{relay="ws://127.0.0.1:4736"} 0\nredoubt_relay_reconnects_total{relay="wss://relay.example/"} 3',
  );
  assert.is(await one('redoubt_key_activations_total'), 'redoubt_key_activations_total 9');
  assert.is(await one('redoubt_key_passivations_total'), 'redoubt_key_passivations_total 8');
  assert.is(await one('redoubt_key_crashes_total'), 'redoubt_key_crashes_total 7');
  assert.is(await one('redoubt_audit_writable'), 'redoubt_audit_writable 1');
  assert.is(await one('redoubt_audit_rows'), 'redoubt_audit_rows 9');
  assert.is(await one('redoubt_autounlock_missing_keys'), 'redoubt_autounlock_missing_keys 2');
  assert.match(await one('redoubt_relay_events_total'), 'redoubt_relay_events_total{event="published"} 7');
});
test.run();
