/**
 * Mixed traffic of clients, admins and strangers over two relays, with every fault in between, for so many minutes.
 * In the last third nothing restarts the daemon: it is that run whose memory is looked at.
 */
import * as assert from 'uvu/assert';
import { assertNoCanary, assertRecorded } from './afterwards.ts';
import type { Surroundings } from './caller.ts';
import { Disturbances } from './disturbances.ts';
import { Faults } from './faults.ts';
import { quantile, type Sample, sample, sixths } from './gauge.ts';
import { Installation } from './installation.ts';
import { seeded } from './seeded.ts';
import { Traffic } from './traffic.ts';

/** Things done a second: bounded, so that other work can go on beside it. Some are several requests. */
const RATE = 24;
const SAMPLE_MS = 1_000;
/** What caches, JIT code and threads that come and go may add to a run; a leak of an hour's traffic is more. */
const SLACK = { rssMiB: 64, rssFactor: 1.25, handles: 40, threads: 10 };
const ERRORS_TOLD = 20;

export async function soak(minutes: number): Promise<void> {
  const seed = Number(process.env.REDOUBT_SOAK_SEED ?? Math.floor(Math.random() * 2 ** 32));
  const counts: { [what: string]: number } = {};
  const errors: string[] = [];
  const disturbances = new Disturbances();
  let latencies: [method: string, ms: number][] = [];
  const random = seeded(seed);
  const around: Omit<Surroundings, 'url'> = {
    random,
    disturbances,
    broken: (what) => void errors.push(what),
    count: (what) => {
      counts[what] = (counts[what] ?? 0) + 1;
    },
    took: (...one) => void latencies.push(one),
  };
  const on = await Installation.make(random, around);
  const duration = minutes * 60_000;
  let timer: NodeJS.Timeout | undefined;
  try {
    const within: Surroundings = { ...around, url: (path) => (path === 'outside' ? on.flaky.url : on.relay) };
    const faults = new Faults(on, within, {
      gap: Math.min(8_000, duration / 20),
      relay: Math.min(3_000, duration / 20),
    });
    const traffic = new Traffic(on, within);
    const going = new Set<Promise<void>>();
    timer = setInterval(() => {
      const one = traffic.act().catch((error: Error) => void errors.push(error.stack ?? error.message));
      going.add(one);
      void one.finally(() => going.delete(one));
    }, 1_000 / RATE);
    const failing = faults.run();

    await Promise.race([failing, wait((duration * 2) / 3)]);
    await faults.settle();
    latencies = [];
    const samples: Sample[] = [];
    const began = performance.now();
    const before = sample(on.daemon.pid);
    while (performance.now() - began < duration / 3) {
      await wait(SAMPLE_MS);
      samples.push(sample(on.daemon.pid));
    }
    const cpu = ((samples.at(-1)!.cpu - before.cpu) * 1_000) / (performance.now() - began);
    faults.stop();
    await failing;
    clearInterval(timer);
    await Promise.all(going);
    traffic.close();
    for (const { caller } of [...on.clients, ...on.limited, { caller: on.admin }]) caller.close();
    assert.is(await on.daemon.stop(), 0, 'it ends well');

    const rows = await assertRecorded(on, traffic);
    const searched = assertNoCanary(on);
    const held = growth(samples);
    const all = Object.fromEntries(Object.entries(counts).sort(([a], [b]) => (a < b ? -1 : 1)));
    const { kills = 0, signatures = 0, requests, answered, expired } = counts;
    const run = { minutes, wrong: errors.length };
    print('soak', {
      ...run,
      seed: String(seed),
      ...all,
      processor: Number(cpu.toFixed(3)),
      ...held,
      ...pace(latencies),
    });
    print('R2', { ...run, canaries: on.canaries.length, searchedMiB: Math.round(searched / 2 ** 20), found: 0 });
    print('R4', { ...run, kills, signatures, auditRows: rows, unrecorded: 0 });
    const { dropped, duplicated, delayed } = on.flaky.counts;
    const relay = { relayDown: counts['relay down and up'], dropped, duplicated, delayed };
    print('R16', { ...run, requests, answered, expired, answeredTwice: 0, ...relay });
    assert.equal(errors.slice(0, ERRORS_TOLD), [], `${errors.length} things were wrong (seed ${seed})`);
    assert.ok(signatures > 0 && kills > 0, 'something has happened');
    const { rssMiB, handles, threads } = held;
    assert.ok(rssMiB[1]! <= rssMiB[0]! * SLACK.rssFactor + SLACK.rssMiB, `memory, MiB: ${rssMiB}`);
    assert.ok(handles[1]! <= handles[0]! + SLACK.handles, `handles: ${handles}`);
    assert.ok(threads[1]! <= threads[0]! + SLACK.threads, `threads: ${threads}`);
  } finally {
    clearInterval(timer);
    await on.remove();
  }
}

function print(id: string, values: object): void {
  console.log(`${id} ${JSON.stringify(values)}`);
}

/** Medians of the first and of the last sixth of the run. */
function growth(samples: Sample[]): { [what in 'rssMiB' | 'handles' | 'threads']: number[] } {
  const { first, last } = sixths(samples);
  const medians = (what: 'rssMiB' | 'handles' | 'threads') =>
    [first, last].map((part) =>
      Math.round(
        quantile(
          part.map((one) => one[what]),
          0.5,
        ),
      ),
    );
  return { rssMiB: medians('rssMiB'), handles: medians('handles'), threads: medians('threads') };
}

/** Of signatures, ms: told and not asserted, for the machine is shared. */
function pace(latencies: [method: string, ms: number][]) {
  const signing = latencies.flatMap(([method, ms]) => (method === 'sign_event' ? ms : []));
  const { first, last } = sixths(signing);
  const of = (q: number) => [first, last].map((part) => Number(quantile(part, q).toFixed(1)));
  const [p50, p99] = [of(0.5), of(0.99)];
  return { p50Ms: p50, p99Ms: p99, p99Ratio: Number((p99[1]! / p99[0]!).toFixed(2)) };
}

/** Nobody waits for it alone: the traffic goes on meanwhile. */
function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}
