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
import type { Sample } from './floor/work.ts';
import { inTurn, inTurnOf, mean, publish, type Row, ratio, spread } from './measure.ts';
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
  ...figures(samples[i]!),
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
  const processes = await Promise.all(Array.from({ length: size }, () => start(backend)));
  const [alone, together] = await inTurnOf(
    Number(options.rounds),
    () => processes[0]!.sample(),
    async () => {
      const samples = await Promise.all(processes.map((floor) => floor.sample()));
      return { cpu: mean(samples.map(({ cpu }) => cpu)), wall: mean(samples.map(({ wall }) => wall)) };
    },
  );
  for (const floor of processes) floor.close();
  const [ours, least] = [together, alone].map((of) => of.map(({ cpu }) => cpu));
  return { backend, 'at once': size, ...figures(together), 'CPU / alone': ratio(ours!, least!) };
}

function figures(samples: readonly Sample[]): Row {
  return {
    'CPU us a request': spread(samples.map(({ cpu }) => cpu)),
    'wall us a request': spread(samples.map(({ wall }) => wall)),
  };
}
