/**
 * The round trip of sign_event, one in flight, through the embedded relay, against the round trip of an event of the same
 * size through the relay alone.
 *
 *   npm run bench -- latency [--backends native,wasm] [--rounds 5] [--requests 500] [--warm 3000] [--quick]
 */
import { Floor } from './floor/floor.ts';
import { Load } from './load/load.ts';
import type { Measured } from './load/protocol.ts';
import { inTurnOf, publish, type Row, shown, spread } from './measure.ts';
import { benchOptions, words } from './options.ts';
import { startEcho } from './peers/echo.ts';
import { startRedoubt } from './peers/redoubt.ts';

const options = benchOptions(
  { backends: 'native,wasm', rounds: '5', requests: '500', warm: '3000' },
  { rounds: '2', requests: '50', warm: '100' },
);
/** p50 may be the echo's and so many times the floor; p99 so many times p50. */
const TARGET_FLOORS = 4;
const TARGET_P99 = 4;
const FLOOR_WARM = 2_000;

const rows: Row[] = [];
const notes: string[] = [];
for (const backend of words(options.backends)) await measure(backend);
publish('latency', 'sign_event, one in flight, ms', rows, { notes });

async function measure(backend: string): Promise<void> {
  const floor = await Floor.start(backend, FLOOR_WARM, 0.5);
  const signer = await Load.start(await startRedoubt(1, { curve: backend }));
  const echo = await Load.start(await startEcho());
  try {
    const requests = Number(options.requests);
    await signer.run({ requests: Number(options.warm), inFlight: 1, check: false });
    await echo.run({ requests: Number(options.warm), inFlight: 1, check: false, echo: true });
    const [ours, alone, least] = await inTurnOf(
      Number(options.rounds),
      async () => (await signer.run({ requests, inFlight: 1, check: true })).latency,
      async () => (await echo.run({ requests, inFlight: 1, check: false, echo: true })).latency,
      async () => (await floor.sample()).wall / 1000,
    );
    for (const [what, latencies] of [
      [`sign_event, ${backend}`, ours],
      ['echo', alone],
    ] as const) {
      const of = (figure: keyof Measured['latency']) => spread(latencies.map((latency) => latency[figure]));
      rows.push({ what, 'p50 ms': of('p50'), 'p95 ms': of('p95'), 'p99 ms': of('p99'), 'max ms': of('max') });
    }
    const floors = spread(ours.map(({ p50 }, i) => (p50 - alone[i]!.p50) / least[i]!));
    const tail = spread(ours.map(({ p50, p99 }) => p99 / p50));
    notes.push(
      `${backend}: p50 is the echo's and ${shown(floors)} x the floor; target at most ${TARGET_FLOORS}: ${verdict(floors.median <= TARGET_FLOORS)}. p99 is ${shown(tail)} x p50; target at most ${TARGET_P99}: ${verdict(tail.median <= TARGET_P99)}.`,
    );
  } finally {
    floor.close();
    await signer.close();
    await echo.close();
  }
}

function verdict(met: boolean): string {
  return met ? 'met' : 'missed';
}
