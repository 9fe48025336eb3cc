import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Fingerprints } from '../../src/nip46/fingerprints.ts';
import type { Decision } from '../../src/policy/protocol.ts';
import { ReplayMemory } from '../../src/policy/replay.ts';
import { fresh, hex, movableClock, Rig, said } from './rig.ts';

const client = hex('client');
const used = (rig: Rig) => rig.sql<{ n: number }>('SELECT currentUsageCount AS n FROM "PolicyRule"')[0]?.n;
const requests = (rig: Rig) => rig.audit().filter(({ type }) => type === 'request');

async function rigged(limit = 10): Promise<Rig> {
  const rig = await Rig.open();
  await rig.makeKey();
  await rig.pair(client, { method: 'sign_event', maxUsageCount: limit });
  return rig;
}

test('the same event is carried out once: in one batch, over ports, later, and after a restart', async () => {
  const rig = await rigged();
  const request = rig.asked();
  const ports = [rig.key('key'), rig.key('key', true)];
  const answers: Decision[] = await Promise.all(
    Array.from({ length: 20 }, (_, i) => ports[i % 2]!.ask('decide', request)),
  );
  assert.is(answers.filter(({ ok }) => ok).length, 1);
  assert.is(answers.filter((answer) => said(answer) === 'replayed').length, 19);
  assert.is(said(await rig.decide(request)), 'replayed');
  await rig.stop();
  await rig.start();
  assert.is(said(await rig.decide(request)), 'replayed');
  assert.is(used(rig), 1);
  assert.is(requests(rig).length, 1);
  await rig.end();
});

test('the same body in a new event is a retry: checked again, recorded, not counted', async () => {
  const rig = await rigged(1);
  const body = fresh();
  assert.is(said(await rig.decide({ body })), 'ok');
  // The limit is used up by this very request.
  assert.is(said(await rig.decide({ body })), 'ok');
  assert.is(said(await rig.decide()), 'usage limit reached');
  await rig.stop();
  await rig.start();
  assert.is(said(await rig.decide({ body })), 'ok');
  assert.is(used(rig), 1);
  assert.equal(
    requests(rig).map(({ params }) => params.retry),
    [false, true, true],
  );
  rig.sql('UPDATE "KeyUser" SET revokedAt = 1');
  assert.is(said(await rig.decide({ body })), 'revoked');
  await rig.end();
});

test('a retry does not lengthen the memory of its first try', async () => {
  const clock = movableClock();
  const rig = await Rig.open({}, clock);
  await rig.makeKey();
  await rig.pair(client, { method: 'sign_event', maxUsageCount: 10 });
  const body = fresh();
  const minutes = 60_000;
  await rig.decide({ body });
  clock.advance(15 * minutes);
  await rig.decide({ body });
  assert.is(used(rig), 1);
  await rig.stop();
  clock.advance(10 * minutes);
  await rig.start();
  await rig.decide({ body });
  assert.is(used(rig), 2);
  await rig.end();
});

test('two of one body in one batch are counted once', async () => {
  const rig = await rigged();
  const body = fresh();
  const answers = await Promise.all([rig.decide({ body }), rig.decide({ body }), rig.decide()]);
  assert.equal(answers.map(said), ['ok', 'ok', 'ok']);
  assert.is(used(rig), 2);
  await rig.end();
});

test('what was denied, or could not be recorded, may be tried again', async () => {
  const rig = await rigged();
  const request = rig.asked({ kind: 22242 });
  assert.is(said(await rig.decide(request)), 'not authorized');
  assert.is(said(await rig.decide({ ...request, kind: 1 })), 'ok');
  const second = rig.asked();
  const lock = rig.other();
  lock.exec('BEGIN IMMEDIATE');
  assert.is(said(await rig.decide({ ...second, expires: rig.clock.mono() + 60 })), 'audit log unavailable');
  lock.exec('ROLLBACK');
  lock.close();
  assert.is(said(await rig.decide(second)), 'ok');
  await rig.end();
});

test('asked again after this actor was restarted, the same event is no replay and no second use', async () => {
  const rig = await rigged(1);
  const request = rig.asked();
  assert.is(said(await rig.decide(request)), 'ok');
  await rig.stop();
  await rig.start();
  assert.is(said(await rig.decide({ ...request, again: true })), 'ok');
  assert.is(used(rig), 1);
  assert.is(requests(rig).length, 1);
  // Never committed before: it is carried out now.
  assert.is(said(await rig.decide({ again: true })), 'usage limit reached');
  rig.sql('UPDATE "PolicyRule" SET maxUsageCount = 2');
  assert.is(said(await rig.decide({ again: true })), 'ok');
  assert.is(used(rig), 2);
  await rig.end();
});

test('a recheck looks at binding and grant, and leaves no trace', async () => {
  const rig = await rigged(1);
  const request = rig.asked();
  assert.is(said(await rig.decide(request)), 'ok');
  const again = { ...request, envelope: fresh(), recheck: true };
  assert.is(said(await rig.decide(again)), 'ok');
  assert.is(requests(rig).length, 1);
  assert.is(used(rig), 1);
  rig.sql('UPDATE "Token" SET deletedAt = 1');
  assert.is(said(await rig.decide({ ...again, envelope: fresh() })), 'token revoked');
  rig.sql('UPDATE "KeyUser" SET revokedAt = 1');
  assert.is(said(await rig.decide({ ...again, envelope: fresh() })), 'revoked');
  await rig.end();
});

test('a connect is carried out once too', async () => {
  const rig = await Rig.open();
  await rig.makeKey();
  const { secret } = await rig.token(await rig.policy({ method: 'sign_event' }));
  const envelope = fresh();
  assert.is(said(await rig.connect(secret, { envelope })), 'ok');
  assert.is(said(await rig.connect(secret, { envelope })), 'replayed');
  assert.is(said(await rig.connect(secret, { envelope, again: true })), 'ok');
  assert.is(rig.audit().length, 1);
  await rig.end();
});

test('after the clock was set back, events of that time are still known', async () => {
  const clock = movableClock();
  const rig = await Rig.open({}, clock);
  await rig.makeKey();
  await rig.pair(client, { method: 'sign_event' });
  const request = rig.asked();
  assert.is(said(await rig.decide(request)), 'ok');
  clock.advance(3 * 3_600_000);
  assert.is(said(await rig.decide()), 'ok');
  clock.wall -= 3 * 3_600_000;
  assert.is(said(await rig.decide({ ...request, expires: clock.mono() + 1000 })), 'replayed');
  await rig.end();
});

test('the memory holds an entry for its window, and not for ever', () => {
  const memory = new ReplayMemory({ window: 1000, seed: 7, mono: 0 });
  const ids: string[] = [];
  for (let mono = 0; mono <= 20_000; mono += 10) {
    memory.turn(mono);
    const id = fresh();
    memory.stage({ envelope: id, body: id });
    memory.keep();
    ids.push(id);
    // 1000 ms are 100 entries.
    for (const recent of ids.slice(-100)) assert.ok(memory.knowsEnvelope(recent) && memory.knowsBody(recent));
    assert.ok(memory.size <= 2 * 130);
  }
  assert.not.ok(memory.knowsEnvelope(ids[0]!));
  memory.turn(200_000);
  assert.is(memory.size, 0);
});

test('staged entries are known, and are gone when they are dropped', () => {
  const memory = new ReplayMemory({ window: 1000, seed: 7, mono: 0 });
  const id = fresh();
  memory.stage({ envelope: id, body: null });
  assert.ok(memory.knowsEnvelope(id));
  memory.drop();
  assert.not.ok(memory.knowsEnvelope(id));
});

test('fingerprints: a set that knows what was added and nothing else', () => {
  for (const seed of [0, 1, 0xffffffff]) {
    const set = new Fingerprints(seed);
    const added = Array.from({ length: 20_000 }, fresh);
    for (const id of added) set.add(id);
    for (const id of added.slice(0, 100)) set.add(id);
    assert.is(set.size, 20_000);
    set.shrink();
    assert.is(set.size, 20_000);
    assert.ok(added.every((id) => set.has(id)));
    assert.not.ok(Array.from({ length: 20_000 }, fresh).some((id) => set.has(id)));
  }
  const zeros = new Fingerprints(3);
  assert.not.ok(zeros.has('0'.repeat(64)));
  zeros.add('0'.repeat(64));
  assert.ok(zeros.has('0'.repeat(64)));
});

test.run();
