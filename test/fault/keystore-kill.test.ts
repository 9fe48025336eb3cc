// deadline: 120 s
/** kill -9 while keys are made, imported and sealed under another passphrase. keystore-kill.long.ts has more of it. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { killKeystore } from './keystore-kill.ts';

const KILLS = 8;

test('whoever is killed at work on the keystore loses nothing that was acknowledged, and can begin again', async () => {
  const killed = await killKeystore(KILLS);
  assert.is(killed.kills, KILLS);
  assert.ok(killed.keys > 0);
});

test.run();
