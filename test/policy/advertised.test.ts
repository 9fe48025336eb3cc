/** switch_relays: who has the list of advertised relays already, and who is told (docs/PROTOCOL.md). */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { fresh, hex, type MovableClock, movableClock, Rig } from './rig.ts';

const early = hex('early');
const late = hex('late');
const RULE = { method: 'sign_event' };

async function knows(rig: Rig, client: string, body = fresh()): Promise<boolean> {
  const decision = await rig.decide({ client, method: 'switch_relays', kind: null, body });
  if (!decision.ok) throw new Error(decision.refusal);
  return decision.knowsRelays === true;
}

async function advertise(rig: Rig, advertised: string[]): Promise<void> {
  rig.main.tell('settings', { reserved: [], advertised });
  // Behind it in the queue.
  await rig.main.ask('health', null);
}

async function rigged(): Promise<{ rig: Rig; clock: MovableClock }> {
  const clock = movableClock();
  const rig = await Rig.open({}, clock);
  await rig.makeKey();
  return { rig, clock };
}

test('who was invited since the list is in force has it; who was before is told once for each list', async () => {
  const { rig, clock } = await rigged();
  await rig.pair(early, RULE);
  clock.advance(1000);
  await advertise(rig, ['wss://a.example']);
  clock.advance(1000);
  await rig.pair(late, RULE);
  assert.is(await knows(rig, late), true);
  assert.is(await knows(rig, early), false);
  assert.is(await knows(rig, early), true);
  clock.advance(1000);
  await advertise(rig, ['wss://b.example']);
  for (const client of [early, late]) {
    assert.is(await knows(rig, client), false);
    assert.is(await knows(rig, client), true);
  }
  await rig.end();
});

test('a token that was made before the list and redeemed after it: its URL named other relays', async () => {
  const { rig, clock } = await rigged();
  const { secret } = await rig.token(await rig.policy(RULE));
  clock.advance(1000);
  await advertise(rig, ['wss://a.example']);
  clock.advance(1000);
  await rig.connect(secret, { client: late });
  assert.is(await knows(rig, late), false);
  await rig.end();
});

test('a retry is told the same again', async () => {
  const { rig, clock } = await rigged();
  await rig.pair(early, RULE);
  clock.advance(1000);
  await advertise(rig, ['wss://a.example']);
  const body = fresh();
  assert.is(await knows(rig, early, body), false);
  assert.is(await knows(rig, early, body), false);
  assert.is(await knows(rig, early), true);
  await rig.end();
});

test('over a restart the list is in force as long as it was; before it is announced nobody is known to have it', async () => {
  const { rig, clock } = await rigged();
  await advertise(rig, ['wss://a.example']);
  clock.advance(1000);
  await rig.pair(late, RULE);
  await rig.stop();
  clock.advance(1000);
  assert.ok((await rig.start()).ok);
  assert.is(await knows(rig, late), false);
  await advertise(rig, ['wss://a.example']);
  assert.is(await knows(rig, late), true);
  await rig.end();
});

test('while the list cannot be written down, everybody is told', async () => {
  const { rig, clock } = await rigged();
  await advertise(rig, ['wss://a.example']);
  clock.advance(1000);
  await rig.pair(late, RULE);
  const other = rig.other();
  other.exec('BEGIN IMMEDIATE');
  rig.main.tell('settings', { reserved: [], advertised: ['wss://b.example'] });
  await rig.main.ask('keys', null);
  assert.is(await knows(rig, late), false);
  other.exec('ROLLBACK');
  other.close();
  await rig.main.ask('health', null);
  clock.advance(1000);
  await rig.pair(hex('newcomer'), RULE);
  assert.is(await knows(rig, hex('newcomer')), true);
  await rig.end();
});

test.run();
