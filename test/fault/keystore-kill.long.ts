// deadline: 1800 s
/** The long form of keystore-kill.test.ts. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { killKeystore } from './keystore-kill.ts';

const KILLS = 300;

test('three hundred kills lose no key that was acknowledged', async () => {
  const killed = await killKeystore(KILLS);
  console.log(JSON.stringify(killed));
  assert.is(killed.kills, KILLS);
  assert.ok(killed.changes > 0 && killed.keys > 0);
  assert.ok(killed.halfway > 0, 'some of them came halfway through a change');
});

test.run();
