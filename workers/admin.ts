/** Entry point of the admin actor's thread. */
import { randomFillSync } from 'node:crypto';
import { parentPort } from 'node:worker_threads';
import { systemClock } from '../src/actor/clock.ts';
import { AdminActor } from '../src/admin/actor.ts';
import { loadCurve } from '../src/curve/load.ts';
import { pooledRandom } from '../src/curve/random.ts';
import { collectAtRest } from '../src/host/rest.ts';

collectAtRest();
new AdminActor(parentPort!, (wanted) => loadCurve(wanted), systemClock, pooledRandom(randomFillSync));
