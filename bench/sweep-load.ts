/**
 * p99 of a steady load on one key, with and without an unlock_keys of 1,000 keys beside it.
 *
 *   npm run bench -- sweep-load [--keys 1000] [--rounds 5] [--requests 3000] [--quick]
 *
 * Each round has a process of its own, in which one key is unlocked and warm: first the load alone, then as long a load
 * that begins together with the sweep.
 */
import { openAdmin } from '../test/support/rpc.ts';
import type { Measured } from './load/protocol.ts';
import { publish, ratio, shown, spread } from './measure.ts';
import { benchOptions } from './options.ts';
import { LIMITS } from './peers/redoubt.ts';
import { PASSPHRASE, prepareInstallation } from './prepare/installation.ts';
import { loadOf, sweep } from './prepare/unlocked.ts';

const options = benchOptions(
  { keys: '1000', rounds: '5', requests: '3000' },
  { keys: '20', rounds: '2', requests: '200' },
);
const TARGET = 2;

const installation = await prepareInstallation({ keys: Number(options.keys), env: LIMITS });
const { daemon, clients } = installation;
const alone: Measured['latency'][] = [];
const beside: Measured['latency'][] = [];
const sweeps: number[] = [];
const loads: number[] = [];
try {
  for (let round = 0; round < Number(options.rounds); round++) await measure();
} finally {
  await daemon.remove();
}
const rows = [
  { what: 'alone', of: alone },
  { what: `beside a sweep of ${options.keys} keys`, of: beside },
].map(({ what, of }) => ({
  what,
  'p50 ms': spread(of.map(({ p50 }) => p50)),
  'p99 ms': spread(of.map(({ p99 }) => p99)),
  'max ms': spread(of.map(({ max }) => max)),
}));
const times = ratio(
  beside.map(({ p99 }) => p99),
  alone.map(({ p99 }) => p99),
);
publish('sweep-load', 'A steady load on one key, one in flight, with and without an unlock_keys beside it', rows, {
  notes: [
    `The sweep took ${shown(spread(sweeps))} ms, the load beside it ${shown(spread(loads))} ms.`,
    `p99 beside the sweep: ${shown(times)} x; target at most ${TARGET} x: ${times.median <= TARGET ? 'met' : 'missed'}.`,
  ],
});

async function measure(): Promise<void> {
  await daemon.start();
  const { relay, daemon_pubkey } = daemon.quickstart;
  const admin = await openAdmin(daemon.adminSecretKey(), daemon_pubkey, relay);
  await admin.call('unlock_key', ['bench-0', PASSPHRASE], { timeoutMs: 60_000 });
  admin.close();
  const close = async () => void (await daemon.stop());
  const load = await loadOf({ pid: daemon.pid, relay, clients: clients.slice(0, 1), close });
  try {
    const order = { requests: Number(options.requests), inFlight: 1, check: true };
    await load.run(order);
    alone.push((await load.run(order)).latency);
    const [measured, swept] = await Promise.all([load.run(order), sweep(installation)]);
    beside.push(measured.latency);
    loads.push(measured.wall);
    sweeps.push(swept);
  } finally {
    await load.close();
  }
}
