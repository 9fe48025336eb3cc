/**
 * The least that one sign_event request can cost: one signature verified, two made, NIP-44 decrypted and encrypted,
 * and the JSON of it, on one thread, warm, with nothing else around it. Other benchmarks are compared with this one.
 *
 *   npm run bench -- floor [--backends native,wasm,noble] [--crowded native,wasm] [--crowds 2,10] [--rounds 7]
 *     [--warm 2000] [--seconds 1] [--quick]
 *
 * Each backend runs in a process of its own, and they take their samples in turn. Then several processes do the same at
 * once, as many keys' threads do: what that costs is the machine's part, not the daemon's.
 */
import { Floor } from './floor/floor.ts';
import { inTurn, inTurnOf, publish, type Row, ratio, spread } from './measure.ts';
import { benchOptions, numbers, words } from './options.ts';

const options = benchOptions(
  { backends: 'native,wasm,noble', crowded: 'native,wasm', crowds: '2,10', rounds: '7', warm: '2000', seconds: '1' },
  { rounds: '3', warm: '200', seconds: '0.2' },
);
const backends = words(options.backends);
const start = (name: string) => Floor.start(name, Number(options.warm), Number(options.seconds));
const floors: Floor[] = [];
for (const name of backends) {
  console.error(`${name}: ${options.warm} requests to warm up`);
  floors.push(await start(name));
}
const samples = await inTurn(floors, Number(options.rounds), (floor) => floor.sample());
for (const floor of floors) floor.close();

const cpu = samples.map((of) => of.map((sample) => sample.cpu));
const rows: Row[] = backends.map((backend, i) => ({
  backend,
  'at once': 1,
  'CPU us a request': spread(cpu[i]!),
  'wall us a request': spread(samples[i]!.map((sample) => sample.wall)),
  [`CPU / ${backends[0]}`]: ratio(cpu[i]!, cpu[0]!),
}));
for (const backend of words(options.crowded)) {
  for (const size of numbers(options.crowds)) rows.push(await crowd(backend, size));
}
publish(
  'floor',
  'Per request: verify 1, sign 2, NIP-44 decrypt and encrypt, JSON; one thread each, warm, nothing else',
  rows,
);

/** So many processes at once, and one of them alone, in turn. */
async function crowd(backend: string, size: number): Promise<Row> {
  console.error(`${backend}: ${size} at once`);
  const crowd = await Promise.all(Array.from({ length: size }, () => start(backend)));
  const [alone, together] = await inTurnOf(
    Number(options.rounds),
    () => crowd[0]!.sample(),
    async () => {
      const samples = await Promise.all(crowd.map((floor) => floor.sample()));
      return { cpu: mean(samples.map(({ cpu }) => cpu)), wall: mean(samples.map(({ wall }) => wall)) };
    },
  );
  for (const floor of crowd) floor.close();
  const cpu = together.map((sample) => sample.cpu);
  return {
    backend,
    'at once': size,
    'CPU us a request': spread(cpu),
    'wall us a request': spread(together.map((sample) => sample.wall)),
    'CPU / alone': ratio(
      cpu,
      alone.map((sample) => sample.cpu),
    ),
  };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
