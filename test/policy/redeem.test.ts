import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { fresh, hex, movableClock, Rig, said } from './rig.ts';

const client = hex('client');
const thief = hex('thief');
const other = hex('other');

async function rigged(): Promise<{ rig: Rig; id: number; secret: string }> {
  const rig = await Rig.open();
  await rig.makeKey();
  return { rig, ...(await rig.token(await rig.policy({ method: 'sign_event' }))) };
}

test('64 clients race for one secret, in one batch and over many ports: exactly one wins', async () => {
  const rig = await Rig.open();
  await rig.makeKey();
  const policyId = await rig.policy({ method: 'sign_event' });
  const ports = [1, 2, 3, 4].map(() => rig.key('key', true));
  for (let round = 0; round < 6; round++) {
    const { id, secret } = await rig.token(policyId);
    const racers = Array.from({ length: 64 }, (_, i) => hex(`racer ${round} ${i}`));
    const answers = await Promise.all(
      racers.map((racer, i) => {
        const { requestId, envelope, body, expires } = rig.asked();
        return ports[i % ports.length]!.ask('connect', { client: racer, requestId, envelope, body, expires, secret });
      }),
    );
    const winners = racers.filter((_, i) => answers[i]?.ok);
    assert.is(winners.length, 1);
    assert.is(answers.filter((answer) => said(answer) === 'token already redeemed').length, 63);
    const [token] = (await rig.admin.ask('listTokens', { keyName: 'key' })).filter((row) => row.id === id);
    assert.is(token?.redeemedBy, winners[0]);
    assert.is(said(await rig.decide({ client: winners[0]! })), 'ok');
    // The others were not bound by losing.
    assert.is(said(await rig.decide({ client: racers.find((racer) => racer !== winners[0])! })), 'no binding');
  }
  assert.is(rig.bound.length, 6);
  await rig.end();
});

test('a connect binds, is recorded, and names the token', async () => {
  const { rig, id, secret } = await rigged();
  assert.equal(await rig.connect(secret, { requestId: 'abc' }), { ok: true, grant: `token:${id}` });
  const [row] = rig.audit();
  assert.is(row?.type, 'connect');
  assert.is(row?.params.client, client);
  assert.is(row?.params.key, hex('pubkey of key'));
  assert.is(row?.params.request, 'abc');
  assert.not.ok(JSON.stringify(row).includes(secret));
  assert.equal(rig.bound, [`key ${client}`]);
  const [user] = rig.sql('SELECT keyName, userPubkey, description, revokedAt FROM "KeyUser"');
  assert.equal(user, { keyName: 'key', userPubkey: client, description: 'c', revokedAt: null });
  await rig.end();
});

test('a bound client reconnects without a secret, with its own, and with one that nobody knows', async () => {
  const { rig, secret } = await rigged();
  await rig.connect(secret);
  for (const again of ['', secret, 'never issued']) {
    assert.equal(await rig.connect(again), { ok: true, grant: 'binding' }, again);
  }
  assert.is(rig.audit().filter(({ type }) => type === 'connect').length, 4);
  assert.equal(rig.bound, [`key ${client}`]);
  await rig.end();
});

test('refusals are word for word', async () => {
  const clock = movableClock();
  const rig = await Rig.open({}, clock);
  await rig.makeKey();
  await rig.makeKey('second');
  const policyId = await rig.policy({ method: 'sign_event' });
  const revoked = await rig.token(policyId);
  await rig.admin.ask('revokeToken', { id: revoked.id });
  const expired = await rig.token(policyId, { expiresAt: clock.now() + 10 });
  const elsewhere = await rig.token(policyId, { keyName: 'second' });
  const taken = await rig.token(policyId);
  await rig.connect(taken.secret, { client: other });
  clock.advance(11);
  assert.is(said(await rig.connect('')), 'not authorized');
  assert.is(said(await rig.connect('nonsense')), 'token not found');
  assert.is(said(await rig.connect(` ${taken.secret}`)), 'token not found');
  assert.is(said(await rig.connect(taken.secret.toUpperCase())), 'token not found');
  assert.is(said(await rig.connect(elsewhere.secret)), 'token not found');
  assert.is(said(await rig.connect(revoked.secret)), 'token revoked');
  assert.is(said(await rig.connect(expired.secret)), 'token expired');
  assert.is(said(await rig.connect(taken.secret)), 'token already redeemed');
  assert.is(said(await rig.connect(elsewhere.secret, { client }, 'second')), 'ok');
  assert.is(said(await rig.decide()), 'no binding');
  await rig.end();
});

test('a second redemption is recorded, some times and not without end', async () => {
  const { rig, id, secret } = await rigged();
  await rig.connect(secret);
  for (let i = 0; i < 20; i++) {
    assert.is(said(await rig.connect(secret, { client: thief })), 'token already redeemed');
  }
  const reuse = rig.audit().filter(({ type }) => type === 'token reuse');
  assert.is(reuse.length, 3);
  assert.is(reuse[0]?.params.client, thief);
  assert.is(reuse[0]?.params.token, id);
  assert.is(reuse[0]?.params.redeemedBy, client);
  assert.not.ok(JSON.stringify(reuse).includes(secret));
  await rig.end();
});

test('a fresh token brings a revoked client back, without what was granted before', async () => {
  const { rig, secret } = await rigged();
  await rig.connect(secret);
  rig.sql(`INSERT INTO "SigningCondition" (method, allowed, keyUserId) VALUES ('nip44_encrypt', 1, 1)`);
  const encrypt = { method: 'nip44_encrypt', kind: null, peer: other } as const;
  assert.is(said(await rig.decide(encrypt)), 'ok');
  // As nsecbunkerd revokes: the KeyUser only.
  rig.sql('UPDATE "KeyUser" SET revokedAt = ?', Date.now());
  assert.is(said(await rig.decide()), 'revoked');
  assert.is(said(await rig.connect(secret)), 'revoked');
  assert.is(said(await rig.connect('')), 'revoked');
  const second = await rig.token(await rig.policy({ method: 'sign_event', kind: '2' }));
  assert.is(said(await rig.connect(second.secret)), 'ok');
  assert.is(said(await rig.decide({ kind: 2 })), 'ok');
  assert.is(said(await rig.decide({ kind: 1 })), 'token revoked');
  assert.is(said(await rig.decide(encrypt)), 'not authorized');
  await rig.end();
});

test('logout ends the binding at the next decision, and everything that came with it', async () => {
  const { rig, secret } = await rigged();
  await rig.connect(secret);
  rig.sql(
    `INSERT INTO "SigningCondition" (method, allowed, keyUserId) VALUES ('nip44_encrypt', 1, 1), ('nip44_decrypt', 0, 1)`,
  );
  const envelope = fresh();
  // In one batch, in this order.
  const answers = await Promise.all([
    rig.decide(),
    rig.logout({ envelope }),
    rig.decide(),
    rig.decide({ method: 'ping', kind: null }),
  ]);
  assert.equal(answers.map(said), ['ok', 'ok', 'revoked', 'revoked']);
  assert.is(said(await rig.logout({ envelope, again: true })), 'ok');
  assert.is(said(await rig.logout({ envelope })), 'replayed');
  assert.is(said(await rig.logout()), 'revoked');
  assert.is(said(await rig.logout({ client: hex('stranger') })), 'no binding');
  assert.is(said(await rig.connect(secret)), 'revoked');
  const [row] = rig.audit().slice(-1);
  assert.equal([row?.type, row?.method, row?.params.client], ['logout', 'logout', client]);
  assert.equal(rig.sql('SELECT deletedAt IS NULL AS live FROM "Token"'), [{ live: 0 }]);
  const conditions = rig.sql<{ method: string; ended: number }>(
    'SELECT method, expiresAt IS NOT NULL AS ended FROM "SigningCondition" ORDER BY id',
  );
  assert.equal(conditions, [
    { method: 'nip44_encrypt', ended: 1 },
    { method: 'nip44_decrypt', ended: 0 },
  ]);
  await rig.end();
});

test('a token that was redeemed stays so over a restart, and its secret stays with its client', async () => {
  const { rig, secret } = await rigged();
  await rig.connect(secret);
  await rig.stop();
  await rig.start();
  assert.is(said(await rig.connect(secret, { client: thief })), 'token already redeemed');
  assert.is(said(await rig.connect(secret)), 'ok');
  assert.is(said(await rig.decide()), 'ok');
  await rig.end();
});

test('nobody is bound by a connect that could not be recorded', async () => {
  const { rig, secret } = await rigged();
  const lock = rig.other();
  lock.exec('BEGIN IMMEDIATE');
  assert.is(said(await rig.connect(secret, { expires: rig.clock.mono() + 60 })), 'audit log unavailable');
  lock.exec('ROLLBACK');
  lock.close();
  assert.is(said(await rig.decide()), 'no binding');
  assert.equal(rig.bound, []);
  assert.is(said(await rig.connect(secret)), 'ok');
  await rig.end();
});

test.run();
