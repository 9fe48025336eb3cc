import { randomBytes } from 'node:crypto';
import { parentPort } from 'node:worker_threads';
import { systemClock } from '../src/actor/clock.ts';
import { collectAtRest } from '../src/host/rest.ts';
import { startPolicyActor } from '../src/policy/actor.ts';

if (parentPort === null) throw new Error('workers/policy.ts runs as a worker thread only');
collectAtRest();
startPolicyActor(parentPort, { clock: systemClock, random: (bytes) => new Uint8Array(randomBytes(bytes)) });
