/**
 * Where the microseconds of a sign_event request go: each stage of the key's thread by itself (in this process, warm), and
 * the CPU time of every thread of the daemon at its highest throughput, 10 keys x 8 in flight.
 *
 *   npm run bench -- stages [--backends native,wasm] [--rounds 5] [--calls 2000] [--requests 3000] [--warm 15000] [--quick]
 */
import { stackSvg } from './draw.ts';
import { measureStages } from './floor/stages.ts';
import { Load } from './load/load.ts';
import { threadTimes } from './load/threads.ts';
import { inTurnOf, publish, type Row, spread } from './measure.ts';
import { benchOptions, words } from './options.ts';
import { startRedoubt } from './peers/redoubt.ts';

const options = benchOptions(
  { backends: 'native,wasm', rounds: '5', calls: '2000', requests: '3000', warm: '15000' },
  { rounds: '2', calls: '200', requests: '300', warm: '500' },
);
const KEYS = 10;
const IN_FLIGHT = 8;
/** How the daemon's threads are called in the table. */
const THREADS: { [name: string]: string } = {
  main: 'main: sockets, routing',
  policy: 'policy: rules, audit, SQLite',
  key: "keys' threads",
  'node-V8Worker': "V8's helpers: compiler, garbage",
};

const rows: Row[] = [];
const bars: { name: string; parts: { name: string; value: number }[] }[] = [];
for (const backend of words(options.backends)) await measure(backend);
publish('stages', 'CPU time of one sign_event request, us, by stage and by thread', rows, {
  notes: [
    "Stages were measured one by one on one thread; what a key's thread takes beside them is messages, promises, limits, metrics, and garbage that is not collected elsewhere.",
    'Share: of one core, while the load ran. A thread near 1 would be the limit, whatever the number of cores.',
  ],
  svg: { request: stackSvg('CPU time of one sign_event request', 'us', bars) },
});

async function measure(backend: string): Promise<void> {
  const stages = await measureStages(backend, Number(options.calls));
  const load = await Load.start(await startRedoubt(KEYS, { curve: backend }));
  try {
    await load.run({ requests: Number(options.warm), inFlight: IN_FLIGHT, check: false });
    const requests = Number(options.requests);
    const [ofStages, ofThreads] = await inTurnOf(Number(options.rounds), stages, async () => {
      const before = threadTimes(load.signerPid);
      const { wall } = await load.run({ requests, inFlight: IN_FLIGHT, check: true });
      const times = new Map<string, { us: number; share: number }>();
      for (const [name, ms] of threadTimes(load.signerPid)) {
        const used = ms - (before.get(name) ?? 0);
        times.set(name, { us: (used / requests) * 1000, share: used / wall });
      }
      return times;
    });
    record(backend, ofStages, ofThreads);
  } finally {
    await load.close();
  }
}

function record(
  backend: string,
  ofStages: Map<string, number>[],
  ofThreads: Map<string, { us: number; share: number }>[],
): void {
  const parts: { name: string; value: number }[] = [];
  let staged = 0;
  for (const name of ofStages[0]!.keys()) {
    const us = spread(ofStages.map((of) => of.get(name)!));
    staged += us.median;
    parts.push({ name, value: us.median });
    rows.push({ backend, part: `stage: ${name}`, us });
  }
  for (const [thread, called] of Object.entries(THREADS)) {
    const us = spread(ofThreads.map((of) => of.get(thread)?.us ?? 0));
    const share = spread(ofThreads.map((of) => of.get(thread)?.share ?? 0));
    rows.push({ backend, part: `thread: ${called}`, us, share });
    if (thread === 'key') parts.push({ name: "keys' threads: the rest", value: Math.max(0, us.median - staged) });
    else parts.push({ name: called, value: us.median });
  }
  bars.push({ name: backend, parts });
}
