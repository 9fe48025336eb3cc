// deadline: 120 s
/** The soak, for so many minutes that every fault comes once; `soak.long.ts` takes an hour. */
import { test } from 'uvu';
import { soak } from './soak.ts';

const minutes = Number(process.env.REDOUBT_SOAK_MINUTES ?? 1 / 4);
const seed = Number(process.env.REDOUBT_SOAK_SEED ?? Math.floor(Math.random() * 2 ** 32));

test('under mixed traffic and every fault each request is answered once or expires, and nothing is lost or grows', () =>
  soak(minutes, seed));

test.run();
