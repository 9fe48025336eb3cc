/** Entry point of the admin actor's thread. */
import { randomFillSync } from 'node:crypto';
import { parentPort, workerData } from 'node:worker_threads';
import { systemClock } from '../src/actor/clock.ts';
import { AdminActor } from '../src/admin/actor.ts';
import type { CurveName } from '../src/curve/curve.ts';
import { loadCurve } from '../src/curve/load.ts';
import { pooledRandom } from '../src/curve/random.ts';

const curve = await loadCurve((workerData as { curve?: CurveName } | null)?.curve);
new AdminActor(parentPort!, curve, systemClock, pooledRandom(randomFillSync));
