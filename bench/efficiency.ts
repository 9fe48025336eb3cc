/**
 * CPU time of the signer for one sign_event request, with everything on (isolation, policy, durable audit, the relay in
 * the same process), over the floor of the same backend.
 *
 *   npm run bench -- efficiency [--backends native,wasm] [--rounds 5] [--requests 10000] [--warm 40000] [--quick]
 */
import { Floor } from './floor/floor.ts';
import { idle } from './load/cpu.ts';
import { Load } from './load/load.ts';
import { inTurn, publish, type Row, ratio, shown, spread } from './measure.ts';
import { benchOptions, words } from './options.ts';
import { startRedoubt } from './peers/redoubt.ts';

const options = benchOptions(
  { backends: 'native,wasm', rounds: '5', requests: '10000', warm: '40000' },
  { rounds: '2', requests: '300', warm: '500' },
);
/** At most so many times the floor. */
const TARGETS: { [backend: string]: { many: number; one: number } } = {
  native: { many: 1.8, one: 4 },
  wasm: { many: 1.25, one: 1.7 },
};
/** The floor's own loop needs so many rounds to be compiled. */
const FLOOR_WARM = 2_000;
const SHAPES = [
  { name: '10 keys x 8 in flight', which: 'many', keys: 10, inFlight: 8 },
  { name: '1 key, one in flight', which: 'one', keys: 1, inFlight: 1 },
] as const;

const rows: Row[] = [];
const notes: string[] = [];
for (const backend of words(options.backends)) {
  const floor = await Floor.start(backend, FLOOR_WARM, 1);
  for (const shape of SHAPES) await measure(backend, shape, floor);
  floor.close();
}
publish('efficiency', 'CPU time of the signer for one sign_event request over the floor of the same backend', rows, {
  notes,
});

async function measure(backend: string, shape: (typeof SHAPES)[number], floor: Floor): Promise<void> {
  const load = await Load.start(await startRedoubt(shape.keys, { curve: backend }));
  try {
    const { inFlight } = shape;
    await load.run({ requests: Number(options.warm), inFlight, check: false });
    const order = { requests: Number(options.requests), inFlight, check: true };
    const signer = async () => {
      await idle(load.signerPid);
      const { cpu, requests } = await load.run(order);
      return (cpu / requests) * 1000;
    };
    const [ours, least] = (await inTurn(
      [signer, async () => (await floor.sample()).cpu],
      Number(options.rounds),
      (sample) => sample(),
    )) as [number[], number[]];
    const times = ratio(ours, least);
    rows.push({
      backend,
      load: shape.name,
      'CPU us a request': spread(ours),
      'floor us': spread(least),
      'times the floor': times,
    });
    const target = TARGETS[backend]?.[shape.which];
    if (target === undefined) return;
    const met = times.median <= target ? 'met' : 'missed';
    notes.push(`${backend}, ${shape.name}: ${shown(times)} x the floor; target at most ${target} x: ${met}.`);
  } finally {
    await load.close();
  }
}
