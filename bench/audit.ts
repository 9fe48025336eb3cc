/**
 * What the durable audit log costs: the daemon as it is against one whose journal writes no rows, 10 keys x 8 in flight.
 *
 *   npm run bench -- audit [--curve native] [--rounds 7] [--requests 3000] [--warm 15000] [--quick]
 */
import { idle } from './load/cpu.ts';
import { Load } from './load/load.ts';
import { inTurn, publish, ratio, shown, spread } from './measure.ts';
import { benchOptions } from './options.ts';
import { startRedoubt } from './peers/redoubt.ts';
import { daemonWithoutAudit } from './prepare/no-audit.ts';

const options = benchOptions(
  { curve: 'native', rounds: '7', requests: '3000', warm: '15000' },
  { rounds: '2', requests: '300', warm: '500' },
);
const { curve } = options;
const KEYS = 10;
const IN_FLIGHT = 8;
/** Throughput with the log, of that without it. */
const TARGET = 0.85;

const without = await daemonWithoutAudit();
const loads: Load[] = [];
try {
  loads.push(await Load.start(await startRedoubt(KEYS, { curve })));
  loads.push(await Load.start(await startRedoubt(KEYS, { curve, entry: without.entry })));
  for (const load of loads) await load.run({ requests: Number(options.warm), inFlight: IN_FLIGHT, check: false });
  const [on, off] = await inTurn(loads, Number(options.rounds), async (load) => {
    await idle(load.signerPid);
    const { wall, cpu, requests } = await load.run({
      requests: Number(options.requests),
      inFlight: IN_FLIGHT,
      check: true,
    });
    return { perSecond: (requests / wall) * 1000, cpu: (cpu / requests) * 1000 };
  });
  const kept = ratio(
    on!.map(({ perSecond }) => perSecond),
    off!.map(({ perSecond }) => perSecond),
  );
  const rows = [
    { audit: 'durable', of: on! },
    { audit: 'none', of: off! },
  ].map(({ audit, of }) => ({
    audit,
    'requests/s': spread(of.map(({ perSecond }) => perSecond)),
    'CPU us a request': spread(of.map(({ cpu }) => cpu)),
  }));
  const cost = ratio(
    on!.map(({ cpu }) => cpu),
    off!.map(({ cpu }) => cpu),
  );
  const notes = [
    `With the log, ${shown(kept)} x the throughput and ${shown(cost)} x the CPU time without it; target at least ${TARGET} x the throughput: ${kept.median >= TARGET ? 'met' : 'missed'}.`,
  ];
  publish('audit', `sign_event, ${KEYS} keys x ${IN_FLIGHT} in flight, ${curve}, with and without audit rows`, rows, {
    notes,
  });
} finally {
  for (const load of loads) await load.close();
  without.remove();
}
