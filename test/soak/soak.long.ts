// deadline: 4200 s
/** The soak for an hour, or REDOUBT_SOAK_MINUTES up to that. */
import { test } from 'uvu';
import { soak } from './soak.ts';

const minutes = Number(process.env.REDOUBT_SOAK_MINUTES ?? 60);

test(`${minutes} minutes under mixed traffic and every fault: each request is answered once or expires, and nothing is lost or grows`, () =>
  soak(minutes));

test.run();
