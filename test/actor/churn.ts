/** In a thread of its own: entries come and go in a map; tells how far the old generation grew, bytes. */
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { parentPort, workerData } from 'node:worker_threads';
import { TransientMap } from '../../src/actor/transient-map.ts';

const AT_ONCE = 8;
const ENTRIES = 100_000;
const LOOK_EVERY = 1_000;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;
const old = () => getHeapSpaceStatistics().find(({ space_name }) => space_name === 'old_space')!.space_used_size;

const map = workerData === 'Map' ? new Map<number, object>() : new TransientMap<number, object>();
for (let n = 0; n < ENTRIES; n++) pass(n);
// From here on the table in use is of the old generation.
collect();
const before = old();
let grown = 0;
for (let n = ENTRIES; n < 2 * ENTRIES; n++) {
  pass(n);
  if (n % LOOK_EVERY === 0) grown = Math.max(grown, old() - before);
}
parentPort!.postMessage(grown);

function pass(n: number): void {
  map.set(n, { payload: new Array(50).fill(n) });
  map.delete(n - AT_ONCE);
}
