/**
 * The least that one sign_event request can cost: one signature verified, two made, NIP-44 decrypted and encrypted,
 * and the JSON of it, on one thread, warm, with nothing else around it. Other benchmarks are compared with this one.
 *
 *   npm run bench -- floor [--backends native,wasm,noble] [--rounds 7] [--warm 2000] [--seconds 1] [--quick]
 *
 * Each backend runs in a process of its own, and they take their samples in turn.
 */
import { Floor } from './floor/floor.ts';
import { inTurn, publish, ratio, spread } from './measure.ts';
import { benchOptions, words } from './options.ts';

const options = benchOptions(
  { backends: 'native,wasm,noble', rounds: '7', warm: '2000', seconds: '1' },
  { rounds: '3', warm: '200', seconds: '0.2' },
);
const backends = words(options.backends);
const floors: Floor[] = [];
for (const name of backends) {
  console.error(`${name}: ${options.warm} requests to warm up`);
  floors.push(await Floor.start(name, Number(options.warm), Number(options.seconds)));
}
const samples = await inTurn(floors, Number(options.rounds), (floor) => floor.sample());
for (const floor of floors) floor.close();

const cpu = samples.map((of) => of.map((sample) => sample.cpu));
const rows = backends.map((backend, i) => ({
  backend,
  'CPU us a request': spread(cpu[i]!),
  'wall us a request': spread(samples[i]!.map((sample) => sample.wall)),
  [`CPU / ${backends[0]}`]: ratio(cpu[i]!, cpu[0]!),
}));
publish(
  'floor',
  'Per request: verify 1, sign 2, NIP-44 decrypt and encrypt, JSON; one thread, warm, nothing else',
  rows,
);
