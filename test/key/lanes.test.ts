/** How much of a key's queue there is for whom. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { InFlight } from '../../src/key/in-flight.ts';
import { laneOf } from '../../src/key/lanes.ts';

const LARGE = 250_000;
const QUEUE = 64;

function incoming(length: number): InFlight['incoming'] {
  const head = { id: '', pubkey: 'a client', p: '', kind: 24133, created_at: 0 };
  return { head, raw: 'x'.repeat(length), from: 'embedded', arrived: 0 };
}

/** A queue with this many events of this length, of which admins are asked about `pending`. */
function queueOf(count: number, length: number, pending = 0) {
  const all = Array.from({ length: count }, (_, n): [number, InFlight] => [
    n,
    { incoming: incoming(length), lane: 'normal', attempts: 1, isSent: true, pending: n < pending },
  ]);
  return new Map(all);
}

test('large events are bounded by their size: what is in a thread at once must fit into its heap', () => {
  const lane = (inFlight: Map<number, InFlight>, length: number) =>
    laneOf(incoming(length), 'normal', inFlight, 0, QUEUE);
  assert.is(lane(queueOf(10, LARGE), LARGE), 'normal');
  assert.is(lane(queueOf(17, LARGE), LARGE), null);
  assert.is(lane(queueOf(17, LARGE, 17), LARGE), null, 'what waits for an admin lies there too');
  assert.is(lane(queueOf(17, LARGE), 1_000), 'normal', 'small ones go by their number alone');
});

test.run();
