/**
 * A million sign_event requests to one process, 10 keys x 8 in flight: resident memory and p99 at the end against those
 * after the first 50,000.
 *
 *   npm run bench -- endurance [--curve native] [--requests 1000000] [--step 25000] [--quick]
 */
import { curveSvg } from './draw.ts';
import { Load } from './load/load.ts';
import { rssOf, threadsOf } from './load/rss.ts';
import { mean, publish, type Row, shown } from './measure.ts';
import { benchOptions } from './options.ts';
import { startRedoubt } from './peers/redoubt.ts';

const options = benchOptions(
  { curve: 'native', requests: '1000000', step: '25000' },
  { requests: '3000', step: '500' },
);
const KEYS = 10;
const IN_FLIGHT = 8;
/** Change that is still called flat. */
const FLAT = 0.1;
const total = Number(options.requests);
const step = Number(options.step);
/** What the end is compared with: after so many requests. */
const REFERENCE = Math.max(2 * step, total / 20);

const load = await Load.start(await startRedoubt(KEYS, { curve: options.curve }));
const runs: { requests: number; rss: number; p99: number; threads: number }[] = [];
try {
  for (let done = 0; done < total; done += step) {
    const { latency } = await load.run({ requests: step, inFlight: IN_FLIGHT, check: true });
    const pid = load.signerPid;
    runs.push({ requests: done + step, rss: rssOf(pid), p99: latency.p99, threads: threadsOf(pid) });
    console.error(`${done + step} of ${total}: ${shown(runs.at(-1)!.rss)} MiB, p99 ${shown(latency.p99)} ms`);
  }
} finally {
  await load.close();
}
// Single steps wander with the machine: both ends are means of two.
const reference = runs.filter(({ requests }) => requests >= REFERENCE).slice(0, 2);
const end = runs.slice(-2);
const change = (figure: 'rss' | 'p99') =>
  mean(end.map((run) => run[figure])) / mean(reference.map((run) => run[figure])) - 1;
const rows: Row[] = [
  { after: `the first ${REFERENCE}`, runs: reference },
  { after: `all ${total}`, runs: end },
].map(({ after, runs }) => ({
  after,
  'RSS MiB': mean(runs.map(({ rss }) => rss)),
  'p99 ms': mean(runs.map(({ p99 }) => p99)),
  threads: runs.at(-1)!.threads,
}));
const notes = (['rss', 'p99'] as const).map((figure) => {
  const by = change(figure);
  return `${figure === 'rss' ? 'RSS' : 'p99'} changed by ${(by * 100).toFixed(1)} %; target within ${FLAT * 100} %: ${by <= FLAT ? 'met' : 'missed'}.`;
});
const svg = {
  memory: curveSvg(
    'RSS, MiB, over requests',
    runs.map(({ requests, rss }) => [requests, rss]),
  ),
  p99: curveSvg(
    'p99, ms, over requests',
    runs.map(({ requests, p99 }) => [requests, p99]),
  ),
};
publish('endurance', `sign_event, ${total} requests to one process, ${options.curve}`, rows, { notes, runs, svg });
