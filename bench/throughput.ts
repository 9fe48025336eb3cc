/**
 * sign_event at several numbers of keys with 8 requests in flight on each: Redoubt (the built daemon, its embedded
 * relay in its own process, durable audit on) against other signers, in turn (A B A B).
 *
 *   npm run bench -- throughput [--keys 1,10,100] [--cold 10] [--rounds 5] [--requests N] [--peers ndk,plain]
 *     [--backends native,wasm] [--quick]
 *
 * `warm`: the signer has answered some thousand requests before. `cold`: it was just started, and has answered one
 * request with each key. CPU is user and system time of the signer's process with all its threads; for Redoubt the
 * relay is in it. A wrong or missing answer fails the run.
 */
import { idle } from './load/cpu.ts';
import { Load } from './load/load.ts';
import type { Measured } from './load/protocol.ts';
import { inTurn, publish, type Row, ratio, type Spread, shown, spread } from './measure.ts';
import { benchOptions, numbers, words } from './options.ts';
import { startNdk, startPlain } from './peers/ndk.ts';
import { startRedoubt } from './peers/redoubt.ts';
import type { RunningSigner } from './peers/signer.ts';

const options = benchOptions(
  {
    keys: '1,10,100',
    cold: '10',
    rounds: '5',
    requests: '6000',
    'cold-requests': '300',
    'peer-requests': '160',
    warm: '40000',
    peers: 'ndk,plain',
    backends: 'native,wasm',
  },
  { keys: '1', cold: '1', rounds: '2', requests: '200', 'cold-requests': '40', 'peer-requests': '40', warm: '200' },
);

interface Subject {
  name: string;
  start(keys: number): Promise<RunningSigner>;
  /** How many requests before the clock starts, and while it runs. */
  warmUp(keys: number): number;
  sample(keys: number): number;
}

/** A request takes them some 15 ms: less of them do, on one thread that has long been compiled. */
const PEER_WARM = 200;
const peerCounts = {
  warmUp: () => Math.min(PEER_WARM, Number(options.warm)),
  sample: (keys: number) => Math.max(Number(options['peer-requests']), IN_FLIGHT * keys),
};
const PEERS: { [name: string]: Subject } = {
  ndk: { name: 'NDKNip46Backend 3.0.3', start: startNdk, ...peerCounts },
  plain: { name: 'a loop of nostr-tools calls', start: startPlain, ...peerCounts },
};
const IN_FLIGHT = 8;
/** At least so many times the first peer's requests per CPU second. */
const TARGETS: { [backend: string]: { warm: number; cold: number } } = {
  native: { warm: 38, cold: 30 },
  wasm: { warm: 12, cold: 10 },
};

const backends = words(options.backends);
const ours = backends.map(
  (curve): Subject => ({
    name: `Redoubt, ${curve}`,
    start: (keys) => startRedoubt(keys, { curve }),
    // Every key's thread has its own compiler to warm up.
    warmUp: (keys) => Math.ceil((Number(options.warm) * Math.min(keys, 10)) / 10),
    sample: () => Number(options.requests),
  }),
);
const peers = words(options.peers).map((name) => {
  const peer = PEERS[name];
  if (peer === undefined) throw new Error(`--peers ${name}: known are ${Object.keys(PEERS).join(', ')}`);
  return peer;
});
const peer = peers[0]!;
const subjects = [...ours, ...peers];
const rounds = Number(options.rounds);
const rows: Row[] = [];
const runs: Row[] = [];
const verdicts: string[] = [];

for (const keys of numbers(options.keys)) record('warm', keys, await warm(keys));
for (const keys of numbers(options.cold)) record('cold', keys, await cold(keys));
publish('throughput', `sign_event, ${IN_FLIGHT} in flight on each key, against ${peer.name}`, rows, {
  notes: notes(),
  runs,
});

async function warm(keys: number): Promise<Measured[][]> {
  const opened: { subject: Subject; load: Load }[] = [];
  try {
    for (const subject of subjects) {
      const load = await start(subject, keys);
      opened.push({ subject, load });
      await load.run({ requests: subject.warmUp(keys), inFlight: IN_FLIGHT, check: false });
    }
    return await inTurn(opened, rounds, async ({ subject, load }) => {
      await idle(load.signerPid);
      const measured = await load.run({ requests: subject.sample(keys), inFlight: IN_FLIGHT, check: true });
      return said('warm', keys, subject, measured);
    });
  } finally {
    for (const { load } of opened) await load.close();
  }
}

/** A process is cold once: each sample has one of its own. */
function cold(keys: number): Promise<Measured[][]> {
  return inTurn(subjects, rounds, async (subject) => {
    const load = await start(subject, keys);
    try {
      await load.run({ requests: keys, inFlight: 1, check: false });
      await idle(load.signerPid);
      const requests = Number(options['cold-requests']);
      return said('cold', keys, subject, await load.run({ requests, inFlight: IN_FLIGHT, check: true }));
    } finally {
      await load.close();
    }
  });
}

async function start(subject: Subject, keys: number): Promise<Load> {
  const signer = await subject.start(keys);
  try {
    return await Load.start(signer);
  } catch (error) {
    await signer.close();
    throw error;
  }
}

/** One line for each run as it ends. */
function said(run: string, keys: number, { name }: Subject, measured: Measured): Measured {
  const { requests, wall, cpu, latency } = measured;
  const row: Row = {
    run,
    keys,
    signer: name,
    requests,
    'wall s': wall / 1000,
    'requests/s': perSecond(wall, requests),
    'CPU ms a request': cpu / requests,
    'requests a CPU s': perSecond(cpu, requests),
    'p50 ms': latency.p50,
    'p95 ms': latency.p95,
    'p99 ms': latency.p99,
    'max ms': latency.max,
  };
  runs.push(row);
  console.error(
    Object.entries(row)
      .map(([column, value]) => `${column} ${shown(value)}`)
      .join(', '),
  );
  return measured;
}

function record(run: 'warm' | 'cold', keys: number, samples: Measured[][]): void {
  const perCpuSecond = samples.map((of) => of.map(({ cpu, requests }) => perSecond(cpu, requests)));
  for (const [i, { name }] of subjects.entries()) {
    const of = (figure: (sample: Measured) => number) => spread(samples[i]!.map(figure));
    rows.push({
      run,
      keys,
      signer: name,
      requests: samples[i]![0]!.requests,
      'requests/s': of(({ wall, requests }) => perSecond(wall, requests)),
      'CPU ms a request': of(({ cpu, requests }) => cpu / requests),
      'requests a CPU s': spread(perCpuSecond[i]!),
      'times the peer': ratio(perCpuSecond[i]!, perCpuSecond[ours.length]!),
      'p50 ms': of(({ latency }) => latency.p50),
      'p95 ms': of(({ latency }) => latency.p95),
      'p99 ms': of(({ latency }) => latency.p99),
      'max ms': of(({ latency }) => latency.max),
    });
  }
  for (const [i, backend] of backends.entries()) {
    verdicts.push(verdict(run, keys, backend, ratio(perCpuSecond[i]!, perCpuSecond[ours.length]!)));
  }
}

function verdict(run: 'warm' | 'cold', keys: number, backend: string, times: Spread): string {
  const target = TARGETS[backend]?.[run];
  const said = `Requests per CPU second, ${backend}, ${run}, ${keys === 1 ? '1 key' : `${keys} keys`}: ${shown(times)} x those of ${peer.name}.`;
  if (target === undefined) return said;
  return `${said} Target at least ${target} x: ${times.median >= target ? 'met' : 'missed'}.`;
}

function notes(): string[] {
  return [
    'Load generator, signer and, for the peers, their relay are processes of their own on the same cores: requests per second of wall time say as much about the generator as about the signer. CPU time is the signer process alone.',
    "Redoubt's process holds its relay, verifies every request, decides by its rules and makes each audit row durable; the peers allow everything, record nothing, and their relay's time is not counted.",
    'Redoubt runs with its limits raised for one client and for strangers (`REDOUBT_LIMITS_*`), and with a thread for each key (`REDOUBT_MAX_ACTIVE_KEYS`); all else is the default.',
    `Warm: after ${options.warm} requests (a tenth of that for 1 key), a peer after ${peer.warmUp(1)}. Cold: just started, each key has answered one request, and what starting left to do is done.`,
    ...verdicts,
  ];
}

function perSecond(ms: number, requests: number): number {
  return (requests / ms) * 1000;
}
