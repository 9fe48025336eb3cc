// deadline: 120 s
/** The soak, for so long that nearly every fault comes once; `soak.long.ts` takes an hour. */
import { test } from 'uvu';
import { soak } from './soak.ts';

test('under mixed traffic and every fault each request is answered once or expires, and nothing is lost or grows', () =>
  soak(1 / 4));

test.run();
