/**
 * Whether size costs speed: throughput with 1, 100 and 10,000 keys unlocked, and with 10, 10^4 and 10^6 bindings in the
 * database, each against the smallest; and what starting takes with so many bindings.
 *
 *   npm run bench -- growth [--curve native] [--keys 1,100,10000] [--bindings 10,10000,1000000] [--rounds 5] [--quick]
 *
 * The requests are those of the same ten clients (of one, with one key), 8 in flight each. All sizes run at once and
 * take their samples in turn. Bindings that nobody uses are dealt out to the keys; `one key` has all of them on one.
 */

import { idle } from './load/cpu.ts';
import { Load } from './load/load.ts';
import { rssOf } from './load/rss.ts';
import { inTurn, publish, type Row, ratio, shown, spread } from './measure.ts';
import { benchOptions, numbers } from './options.ts';
import { startUnlocked } from './prepare/unlocked.ts';

const options = benchOptions(
  { curve: 'native', keys: '1,100,10000', bindings: '10,10000,1000000', rounds: '5', requests: '3000', warm: '10000' },
  { keys: '1,20', bindings: '10,10000', rounds: '2', requests: '200', warm: '200' },
);
const IN_FLIGHT = 8;
const CLIENTS = 10;
/** Part of the smallest one's throughput that must be left. */
const TARGET = 0.85;

interface Size {
  what: string;
  keys: number;
  bindings: number;
}

const rows: Row[] = [];
const notes: string[] = [];
await compare(numbers(options.keys).map((keys) => ({ what: `${keys} keys`, keys, bindings: 0 })));
await compare(numbers(options.bindings).map((bindings) => ({ what: `${bindings} bindings`, keys: CLIENTS, bindings })));
await compare(
  numbers(options.bindings).map((bindings) => ({ what: `${bindings} bindings, one key`, keys: 1, bindings })),
);
publish('growth', `sign_event, ${options.curve}, ${IN_FLIGHT} in flight on each of up to ${CLIENTS} keys`, rows, {
  notes,
});

async function compare(sizes: Size[]): Promise<void> {
  const opened: { size: Size; load: Load; rss: number; startMs: number }[] = [];
  try {
    for (const size of sizes) opened.push(await open(size));
    const samples = await inTurn(opened, Number(options.rounds), async ({ load }) => {
      await idle(load.signerPid);
      const { wall, cpu, requests } = await load.run({
        requests: Number(options.requests),
        inFlight: IN_FLIGHT,
        check: true,
      });
      return { perSecond: (requests / wall) * 1000, perCpuSecond: (requests / cpu) * 1000 };
    });
    for (const [i, { size, rss, startMs }] of opened.entries()) {
      const kept = ratio(
        samples[i]!.map(({ perCpuSecond }) => perCpuSecond),
        samples[0]!.map(({ perCpuSecond }) => perCpuSecond),
      );
      rows.push({
        size: size.what,
        'requests/s': spread(samples[i]!.map(({ perSecond }) => perSecond)),
        'requests a CPU s': spread(samples[i]!.map(({ perCpuSecond }) => perCpuSecond)),
        'of the smallest': kept,
        'start ms': startMs,
        'RSS MiB': rss,
      });
      if (i === 0) continue;
      notes.push(
        `${size.what}: ${shown(kept)} x the requests per CPU second of ${sizes[0]!.what}; target at least ${TARGET} x: ${kept.median >= TARGET ? 'met' : 'missed'}.`,
      );
    }
  } finally {
    for (const { load } of opened) await load.close();
  }
}

async function open(size: Size): Promise<{ size: Size; load: Load; rss: number; startMs: number }> {
  const env = { REDOUBT_CURVE: options.curve };
  const signer = await startUnlocked({ keys: size.keys, bindings: size.bindings, logN: 14, env });
  // From one key to 10,000 the same ten threads work; fewer keys than that have as many as they are.
  const load = await Load.start({ ...signer, clients: signer.clients.slice(0, CLIENTS) });
  await load.run({ requests: Number(options.warm), inFlight: IN_FLIGHT, check: false });
  return { size, load, rss: rssOf(signer.pid), startMs: signer.startMs };
}
