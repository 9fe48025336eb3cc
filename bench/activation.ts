/**
 * The first request to an inactive key, with blank threads ready and with none, against the next one to the same key.
 *
 *   npm run bench -- activation [--curve native] [--keys 40] [--rounds 5] [--warm 3000] [--quick]
 *
 * Each round has a process of its own, in which every key is unlocked and, but for one that has worked, none is active.
 * A client's event wakes its key; the pool of blank threads has filled up again before the next one.
 */
import { Client } from './load/client.ts';
import { idle } from './load/cpu.ts';
import type { BoundClient } from './load/protocol.ts';
import { publish, type Row, shown, spread } from './measure.ts';
import { benchOptions } from './options.ts';
import { LIMITS } from './peers/redoubt.ts';
import { type Installation, prepareInstallation } from './prepare/installation.ts';
import { sweep } from './prepare/unlocked.ts';

const options = benchOptions(
  { curve: 'native', keys: '40', rounds: '5', warm: '3000' },
  { keys: '4', rounds: '1', warm: '200' },
);
const POOLS = [
  { pool: 'warm pool', blanks: '4', targets: { p50: 1.5, p95: 3 } },
  { pool: 'cold', blanks: '0', targets: { p50: 40 } },
] as const;
/** Requests to a key that is active before the one that its first is compared with. */
const SETTLE = 3;

const added: { [pool: string]: { p50: number[]; p95: number[]; first: number[]; active: number[] } } = {};
for (let round = 0; round < Number(options.rounds); round++) {
  for (const { pool, blanks } of POOLS) await measure(pool, blanks);
}
const rows: Row[] = POOLS.map(({ pool }) => {
  const { p50, p95, first, active } = added[pool]!;
  return {
    pool,
    'first request p50 ms': spread(first),
    'to an active key p50 ms': spread(active),
    'adds p50 ms': spread(p50),
    'adds p95 ms': spread(p95),
  };
});
const notes = POOLS.flatMap(({ pool, targets }) =>
  Object.entries(targets).map(([part, target]) => {
    const adds = spread(added[pool]![part as 'p50' | 'p95']);
    return `${pool}: adds ${shown(adds)} ms at ${part}; target at most ${target} ms: ${adds.median <= target ? 'met' : 'missed'}.`;
  }),
);
publish('activation', `The first request to an inactive key, ${options.curve}, ms`, rows, { notes });

async function measure(pool: string, blanks: string): Promise<void> {
  const env = {
    REDOUBT_CURVE: options.curve,
    REDOUBT_BLANK_WORKERS: blanks,
    REDOUBT_MAX_ACTIVE_KEYS: '1000',
    ...LIMITS,
  };
  const installation = await prepareInstallation({ keys: Number(options.keys), logN: 14, env });
  try {
    await installation.daemon.start();
    await sweep(installation);
    const differences: number[] = [];
    const firsts: number[] = [];
    const actives: number[] = [];
    const [busy, ...others] = installation.clients;
    await warmUp(installation, busy!);
    for (const client of others) {
      const [first, active] = await wake(installation, client);
      firsts.push(first);
      actives.push(active);
      differences.push(first - active);
    }
    added[pool] ??= { p50: [], p95: [], first: [], active: [] };
    const into = added[pool];
    into.p50.push(at(differences, 0.5));
    into.p95.push(at(differences, 0.95));
    into.first.push(at(firsts, 0.5));
    into.active.push(at(actives, 0.5));
  } finally {
    await installation.daemon.remove();
  }
}

/** What all keys share, the main thread and the policy actor, has been at work for a while. */
async function warmUp({ daemon }: Installation, bound: BoundClient): Promise<void> {
  const client = new Client(bound);
  await client.open(daemon.quickstart.relay);
  client.prepare(Number(options.warm));
  await client.run(4);
  client.close();
}

/** Everything is prepared before its clock starts, and checked after it has stopped. */
async function wake({ daemon }: Installation, bound: BoundClient): Promise<[number, number]> {
  const client = new Client(bound);
  await client.open(daemon.quickstart.relay);
  try {
    client.prepare(1 + SETTLE + 1);
    await idle(daemon.pid);
    await client.run(1);
    client.check();
    const trips = client.roundTrips();
    return [trips[0]!, trips.at(-1)!];
  } finally {
    client.close();
  }
}

function at(values: number[], part: number): number {
  return values.toSorted((a, b) => a - b)[Math.ceil(values.length * part) - 1]!;
}
