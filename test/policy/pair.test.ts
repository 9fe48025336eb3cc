import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Outcome, Pairing } from '../../src/policy/protocol.ts';
import { hex, Rig, said } from './rig.ts';

const refusal = (outcome: Outcome<unknown>) => (outcome.ok ? 'ok' : outcome.refusal);
const pairing = (over: Partial<Pairing> = {}): Pairing => ({
  policy: 'spirekeeper-spire',
  clientName: 'atm',
  expiresAt: null,
  createdBy: hex('admin'),
  revokeOld: false,
  ...over,
});
const SPIRE = [
  ['sign_event', '21000'],
  ['sign_event', '21001'],
  ['sign_event', '21002'],
  ['sign_event', '21003'],
  ['sign_event', '30078'],
  ['nip44_encrypt', null],
  ['nip44_decrypt', null],
];

async function rules(rig: Rig, name = 'spirekeeper-spire') {
  const [policy] = (await rig.admin.ask('listPolicies', null)).filter((policy) => policy.name === name);
  return policy?.rules.map(({ method, kind }) => [method, kind]);
}
/** A token of the pairing; throws a refusal. */
async function token(rig: Rig, over: Partial<Pairing> = {}) {
  const paired = await rig.admin.ask('pair', { keyName: 'key', pairing: pairing(over) });
  if (!paired.ok) throw new Error(paired.refusal);
  return paired.value.token;
}

test('a new key, its ready-made policy and its token are one transaction', async () => {
  const rig = await Rig.open();
  const make = (over: Partial<Pairing>) =>
    rig.main.ask('createKey', { name: 'key', pubkey: hex('pubkey'), pairing: pairing(over) });
  assert.match(refusal(await make({ policy: 'nope' })), 'no policy named "nope"');
  assert.match(refusal(await make({ expiresAt: 5 })), 'the token would be expired already');
  rig.sql(`CREATE TRIGGER broken BEFORE INSERT ON "Token" BEGIN SELECT RAISE(ABORT, 'broken'); END`);
  await make({}).then(refusal, () => {});
  assert.equal(rig.sql('SELECT * FROM "Key"'), []);
  assert.equal(rig.sql('SELECT * FROM "Policy"'), []);
  rig.sql('DROP TRIGGER broken');
  assert.ok((await make({})).ok);
  const [made] = await rig.admin.ask('listTokens', { keyName: 'key' });
  assert.equal([made?.clientName, made?.policyName, made?.keyPubkey], ['atm', 'spirekeeper-spire', hex('pubkey')]);
  assert.equal(await rules(rig), SPIRE);
  assert.match(refusal(await make({})), 'there is a key key already');
  await rig.end();
});

test('the machine may do what the ready-made policy says, and nothing else', async () => {
  const rig = await Rig.open();
  await rig.makeKey();
  const { secret } = await token(rig);
  const client = hex('machine');
  assert.is(said(await rig.connect(secret, { client })), 'ok');
  for (const kind of [21000, 21001, 21002, 21003, 30078]) assert.is(said(await rig.decide({ client, kind })), 'ok');
  assert.is(said(await rig.decide({ client, kind: 1 })), 'not authorized');
  const cipher = { client, kind: null, eventId: null, peer: hex('peer') };
  assert.is(said(await rig.decide({ ...cipher, method: 'nip44_encrypt' })), 'ok');
  assert.is(said(await rig.decide({ ...cipher, method: 'nip04_encrypt' })), 'not authorized');
  await rig.end();
});

test('the other ready-made policies', async () => {
  const rig = await Rig.open();
  await rig.makeKey();
  for (const policy of ['lnbits-account', 'satrank', 'atm-21000']) await token(rig, { policy });
  assert.equal(await rules(rig, 'lnbits-account'), [
    ['sign_event', 'all'],
    ['nip44_encrypt', null],
    ['nip44_decrypt', null],
    ['nip04_encrypt', null],
    ['nip04_decrypt', null],
  ]);
  const kinds = ['30382', '30383', '30384', '30385', '10040', '0', '1'];
  assert.equal(
    await rules(rig, 'satrank'),
    kinds.map((kind) => ['sign_event', kind]),
  );
  assert.equal(await rules(rig, 'atm-21000'), [['sign_event', '21000']]);
  await rig.end();
});

test('a ready-made policy gets the rules that it lacks, in force at once; one of an admin stays as it is', async () => {
  const rig = await Rig.open();
  await rig.makeKey();
  const free = { maxUsageCount: null, maxUsagePerToken: null, expiresAt: null };
  const own = [{ method: 'sign_event', kind: '21000', ...free, maxUsageCount: 9 }];
  const wanted = { name: 'spirekeeper-spire', description: null, expiresAt: null, rules: own };
  assert.ok((await rig.admin.ask('createPolicy', wanted)).ok);
  assert.ok((await rig.admin.ask('createPolicy', { ...wanted, name: 'mine' })).ok);
  const mine = await token(rig, { policy: 'mine' });
  assert.equal(await rules(rig, 'mine'), [['sign_event', '21000']]);

  const before = await rig.token(1);
  const client = hex('machine');
  await rig.connect(before.secret, { client });
  assert.is(said(await rig.decide({ client, kind: 30078 })), 'not authorized');
  await token(rig);
  assert.equal(await rules(rig), SPIRE, 'the limited one counts as there');
  assert.is(said(await rig.decide({ client, kind: 30078 })), 'ok');
  await token(rig);
  assert.equal(await rules(rig), SPIRE);
  rig.sql(`UPDATE "PolicyRule" SET expiresAt = 1 WHERE kind = '21003'`);
  await token(rig);
  assert.is((await rules(rig))?.filter(([, kind]) => kind === '21003').length, 2, 'an expired rule is missing');
  assert.is(mine.policyName, 'mine');
  await rig.end();
});

test('a policy must be one: neither expired nor one of several', async () => {
  const rig = await Rig.open();
  await rig.makeKey();
  const ask = (over: Partial<Pairing>) =>
    rig.admin.ask('pair', { keyName: 'key', pairing: pairing(over) }).then(refusal);
  const check = (over: Partial<Pairing>) => rig.admin.ask('checkPairing', pairing(over)).then(refusal);
  await rig.policy({ method: 'sign_event' });
  await rig.policy({ method: 'sign_event' });
  assert.match(await ask({ policy: 'p' }), '2 policies are named "p" (1, 2): delete all but one');
  assert.is(await check({ policy: 'p' }), await ask({ policy: 'p' }));
  rig.sql('UPDATE "Policy" SET deletedAt = 1 WHERE id = 1');
  assert.is(await ask({ policy: 'p' }), 'ok');
  assert.is(await check({ policy: 'p' }), 'ok');
  rig.sql('UPDATE "Policy" SET expiresAt = 1 WHERE id = 2');
  assert.match(await ask({ policy: 'p' }), 'policy "p" has expired');
  assert.match(await check({ policy: 'p' }), 'policy "p" has expired');
  assert.is(await check({}), 'ok', 'a ready-made one is made when it is needed');
  assert.match(await check({ expiresAt: 5 }), 'the token would be expired already');
  assert.match(await rig.admin.ask('pair', { keyName: 'x', pairing: pairing() }).then(refusal), 'there is no key x');
  rig.sql('UPDATE "Key" SET deletedAt = 1');
  assert.match(await ask({}), 'key key was deleted');
  await rig.end();
});

test('re-pairing leaves the old client, or revokes every other one in the same transaction', async () => {
  const rig = await Rig.open();
  await rig.makeKey();
  await rig.makeKey('other');
  const [old, fresh, neighbour] = [hex('old'), hex('fresh'), hex('neighbour')];
  await rig.connect((await token(rig)).secret, { client: old });
  const beside = await rig.token((await token(rig)).policyId!, { keyName: 'other' });
  await rig.connect(beside.secret, { client: neighbour }, 'other');
  assert.is(said(await rig.decide({ client: old, kind: 21000 })), 'ok', 'a new token leaves it');

  rig.sql(`CREATE TRIGGER broken BEFORE INSERT ON "Token" BEGIN SELECT RAISE(ABORT, 'broken'); END`);
  await token(rig, { revokeOld: true }).catch(() => {});
  rig.sql('DROP TRIGGER broken');
  assert.is(said(await rig.decide({ client: old, kind: 21000 })), 'ok', 'no token, no revocation');

  const open = await token(rig);
  const { secret } = await token(rig, { revokeOld: true });
  assert.is(said(await rig.decide({ client: old, kind: 21000 })), 'revoked');
  assert.is(said(await rig.connect(open.secret, { client: hex('thief') })), 'token revoked');
  assert.is(said(await rig.decide({ client: neighbour, kind: 21000 }, 'other')), 'ok', 'of another key');
  assert.is(said(await rig.connect(secret, { client: fresh })), 'ok');
  assert.is(said(await rig.decide({ client: fresh, kind: 21000 })), 'ok');
  await rig.end();
});

test.run();
