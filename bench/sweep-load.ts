/**
 * p99 of a steady load on one key, with and without an unlock_keys of 1,000 keys beside it.
 *
 *   npm run bench -- sweep-load [--keys 1000] [--rounds 5] [--requests 2000] [--quick]
 */

import { inTurn, publish, ratio, shown, spread } from './measure.ts';
import { benchOptions } from './options.ts';
import { lockAll } from './prepare/lock.ts';
import { loadOf, startUnlocked, sweep } from './prepare/unlocked.ts';

const options = benchOptions(
  { keys: '1000', rounds: '5', requests: '2000' },
  { keys: '20', rounds: '2', requests: '200' },
);
const TARGET = 2;
const signer = await startUnlocked({ keys: Number(options.keys) });
const [first, ...others] = signer.clients;
const load = await loadOf(signer, [first!]);
try {
  const order = { requests: Number(options.requests), inFlight: 1, check: true };
  await load.run(order);
  const alone = async () => (await load.run(order)).latency;
  const beside = async () => {
    await lockAll(
      signer.installation,
      others.map((_, i) => `bench-${i + 1}`),
    );
    // The load outlasts the sweep, or the sweep is repeated: both are under way for the whole time.
    const [measured] = await Promise.all([load.run(order), sweep(signer.installation)]);
    return measured.latency;
  };
  const samples = await inTurn([alone, beside], Number(options.rounds), (take) => take());
  const rows = ['alone', `beside a sweep of ${options.keys} keys`].map((what, i) => ({
    what,
    'p50 ms': spread(samples[i]!.map(({ p50 }) => p50)),
    'p99 ms': spread(samples[i]!.map(({ p99 }) => p99)),
    'max ms': spread(samples[i]!.map(({ max }) => max)),
  }));
  const times = ratio(
    samples[1]!.map(({ p99 }) => p99),
    samples[0]!.map(({ p99 }) => p99),
  );
  const notes = [
    `p99 beside the sweep: ${shown(times)} x; target at most ${TARGET} x: ${times.median <= TARGET ? 'met' : 'missed'}.`,
  ];
  publish('sweep-load', 'A steady load on one key, one in flight, with and without an unlock_keys beside it', rows, {
    notes,
  });
} finally {
  await load.close();
}
