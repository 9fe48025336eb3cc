import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Decision } from '../../src/policy/protocol.ts';
import { verifyChain } from '../../src/policy/verify.ts';
import { fresh, hex, movableClock, Rig, said } from './rig.ts';

const client = hex('client');
const allowed = (answers: Decision[]) => answers.filter(({ ok }) => ok).length;
const used = (rig: Rig) =>
  rig.sql<{ n: number }>('SELECT currentUsageCount AS n FROM "PolicyRule" ORDER BY id').map(({ n }) => n);

/** Clients of key `key`, all under tokens of one policy. */
async function fleet(rig: Rig, size: number, policyId: number): Promise<string[]> {
  const clients = Array.from({ length: size }, (_, i) => hex(`client ${i}`));
  for (const one of clients) {
    const { secret } = await rig.token(policyId);
    assert.is(said(await rig.connect(secret, { client: one })), 'ok');
  }
  return clients;
}

test('a limit of 1 under 64 clients at once lets exactly one through, every time', async () => {
  const rig = await Rig.open();
  await rig.makeKey();
  const policyId = await rig.policy({ method: 'sign_event', kind: '1', maxUsageCount: 1 });
  const clients = await fleet(rig, 64, policyId);
  const ports = [rig.key('key'), rig.key('key', true), rig.key('key', true)];
  for (let round = 0; round < 8; round++) {
    rig.sql('UPDATE "PolicyRule" SET currentUsageCount = 0');
    const answers = await Promise.all(
      clients.map((one, i) => ports[i % ports.length]!.ask('decide', rig.asked({ client: one }))),
    );
    assert.is(allowed(answers), 1);
    assert.is(answers.filter((a) => said(a) === 'usage limit reached').length, 63);
    assert.equal(used(rig), [1]);
  }
  await rig.end();
});

test('use_count is over all tokens of the policy, use_count_per_token for each', async () => {
  const rig = await Rig.open();
  await rig.makeKey();
  const policyId = await rig.policy({ method: 'sign_event', kind: '1', maxUsageCount: 5, maxUsagePerToken: 3 });
  const [a, b] = (await fleet(rig, 2, policyId)) as [string, string];
  const many = (one: string) => Promise.all(Array.from({ length: 6 }, () => rig.decide({ client: one })));
  assert.is(allowed(await many(a)), 3);
  assert.is(allowed(await many(b)), 2);
  assert.equal(used(rig), [5]);
  assert.equal(rig.sql('SELECT tokenId, "count" AS n FROM "TokenRuleUsage" ORDER BY 1'), [
    { tokenId: 1, n: 3 },
    { tokenId: 2, n: 2 },
  ]);
  await rig.end();
});

test('an uncounted rule is used first; of two tokens the one redeemed first pays', async () => {
  const rig = await Rig.open();
  await rig.makeKey();
  await rig.pair(client, { method: 'sign_event', kind: '1', maxUsageCount: 1 });
  await rig.pair(client, { method: 'sign_event', kind: '1', maxUsageCount: 1 });
  rig.sql('UPDATE "Token" SET redeemedAt = 1 WHERE id = 2');
  assert.equal(await rig.decide(), { ok: true, grant: 'rule:2' });
  assert.equal(await rig.decide(), { ok: true, grant: 'rule:1' });
  assert.is(said(await rig.decide()), 'usage limit reached');
  await rig.pair(client, { method: 'sign_event' });
  assert.equal(await rig.decide(), { ok: true, grant: 'rule:3' });
  assert.equal(used(rig), [1, 1, 0]);
  await rig.end();
});

test('a limit that another program lowers or raises is the limit', async () => {
  const rig = await Rig.open();
  await rig.makeKey();
  await rig.pair(client, { method: 'sign_event', kind: '1', maxUsageCount: 5 });
  assert.is(said(await rig.decide()), 'ok');
  rig.sql('UPDATE "PolicyRule" SET currentUsageCount = 5');
  assert.is(said(await rig.decide()), 'usage limit reached');
  rig.sql('UPDATE "PolicyRule" SET maxUsageCount = 6');
  assert.is(said(await rig.decide()), 'ok');
  assert.is(said(await rig.decide()), 'usage limit reached');
  assert.equal(used(rig), [6]);
  await rig.end();
});

test('a transaction that fails counts nothing, in the file or in memory', async () => {
  const rig = await Rig.open();
  await rig.makeKey();
  await rig.pair(client, { method: 'sign_event', kind: '1', maxUsageCount: 2, maxUsagePerToken: 2 });
  rig.sql(`CREATE TRIGGER broken BEFORE INSERT ON "Log" BEGIN SELECT RAISE(ABORT, 'no'); END`);
  const failed = await Promise.all([1, 2, 3].map(() => rig.decide().then(said, () => 'failed')));
  assert.equal(failed, ['failed', 'failed', 'failed']);
  assert.equal(used(rig), [0]);
  rig.sql('DROP TRIGGER broken');
  assert.is(allowed(await Promise.all([1, 2, 3].map(() => rig.decide()))), 2);
  assert.equal(used(rig), [2]);
  assert.equal(rig.sql('SELECT "count" AS n FROM "TokenRuleUsage"'), [{ n: 2 }]);
  await rig.end();
});

test("one request's fault is no other's", async () => {
  const rig = await Rig.open();
  await rig.makeKey();
  await rig.pair(client, { method: 'sign_event' });
  rig.sql(`CREATE TRIGGER broken BEFORE INSERT ON "Log" WHEN NEW.params LIKE '%"request":"poison"%'
    BEGIN SELECT RAISE(ABORT, 'no'); END`);
  const ids = ['1', '2', 'poison', '4'];
  const answers = await Promise.all(ids.map((requestId) => rig.decide({ requestId }).then(said, () => 'failed')));
  assert.equal(answers, ['ok', 'ok', 'failed', 'ok']);
  // Nothing of the attempt that was taken back is left in the chain or in the count of rows.
  assert.equal(verifyChain(rig.path).wrong, null);
  assert.is((await rig.admin.ask('status', null)).auditRows, rig.audit().length);
  await rig.end();
});

test('expiry and revocation are looked at in every request, to the millisecond', async () => {
  const clock = movableClock();
  const noon = clock.now() + 3_600_000;
  const rig = await Rig.open({}, clock);
  await rig.makeKey();
  const policyId = await rig.policy(
    { method: 'sign_event', kind: '1' },
    { method: 'sign_event', kind: '2', expiresAt: noon - 5 },
  );
  const { secret, id } = await rig.token(policyId, { expiresAt: noon });
  assert.is(said(await rig.connect(secret)), 'ok');
  assert.is(said(await rig.decide({ kind: 2 })), 'ok');
  clock.wall = noon - 1;
  assert.is(said(await rig.decide()), 'ok');
  // An expired rule grants nothing, as if it were not there.
  assert.is(said(await rig.decide({ kind: 2 })), 'not authorized');
  clock.wall = noon + 1;
  assert.is(said(await rig.decide()), 'token expired');
  rig.sql('UPDATE "Token" SET expiresAt = NULL');
  assert.is(said(await rig.decide()), 'ok');
  rig.sql('UPDATE "Policy" SET expiresAt = ?', noon);
  assert.is(said(await rig.decide()), 'policy expired');
  rig.sql('UPDATE "Policy" SET expiresAt = NULL, deletedAt = ?', noon);
  assert.is(said(await rig.decide()), 'policy expired');
  rig.sql('UPDATE "Policy" SET deletedAt = NULL');
  await rig.admin.ask('revokeToken', { id });
  assert.is(said(await rig.decide()), 'token revoked');
  await rig.end();
});

test('what was refused as expired stays so when the clock is set back', async () => {
  const clock = movableClock();
  const start = clock.now();
  const rig = await Rig.open({}, clock);
  await rig.makeKey();
  const { secret } = await rig.token(await rig.policy({ method: 'sign_event' }), { expiresAt: start + 1000 });
  assert.is(said(await rig.connect(secret)), 'ok');
  clock.wall = start + 1001;
  assert.is(said(await rig.decide()), 'token expired');
  clock.wall = start - 86_400_000;
  assert.is(said(await rig.decide()), 'token expired');
  // A new date is a new promise.
  rig.sql('UPDATE "Token" SET expiresAt = ?', start + 2000);
  assert.is(said(await rig.decide()), 'ok');
  await rig.end();
});

test('a revocation ends what is in flight: nothing is allowed after its answer', async () => {
  const rig = await Rig.open();
  await rig.makeKey();
  const { id } = await rig.pair(client, { method: 'sign_event' });
  let revoked = false;
  let late = 0;
  let early = 0;
  const requests = Array.from({ length: 1000 }, async (_, i) => {
    if (i >= 500) await new Promise((resolve) => setTimeout(resolve, i / 100));
    const before = revoked;
    const answer = await rig.decide({ client, envelope: fresh() });
    if (answer.ok && before) late++;
    if (answer.ok) early++;
  });
  while (early === 0) await new Promise((resolve) => setImmediate(resolve));
  assert.ok((await rig.admin.ask('revokeToken', { id })).ok);
  revoked = true;
  const after = await Promise.all(Array.from({ length: 50 }, () => rig.decide()));
  await Promise.all(requests);
  assert.is(late, 0);
  assert.ok(early > 0);
  assert.is(allowed(after), 0);
  await rig.end();
});

test.run();
