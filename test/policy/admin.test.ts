import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { NewRule, Outcome } from '../../src/policy/protocol.ts';
import { fresh, hex, Rig, said } from './rig.ts';

const refusal = (outcome: Outcome<unknown>) => (outcome.ok ? 'ok' : outcome.refusal);
const rule = (over: Partial<NewRule> = {}): NewRule => ({
  method: 'sign_event',
  kind: null,
  maxUsageCount: null,
  maxUsagePerToken: null,
  expiresAt: null,
  ...over,
});
const plain = { description: null, expiresAt: null };

test('keys: made once by name and by pubkey, listed with their counts', async () => {
  const rig = await Rig.open();
  const made = await rig.admin.ask('createKey', { name: 'a', pubkey: hex('a') });
  assert.ok(made.ok);
  await rig.makeKey();
  await rig.pair(hex('client'), { method: 'sign_event' });
  await rig.token(1);
  assert.match(refusal(await rig.admin.ask('createKey', { name: 'a', pubkey: hex('b') })), /key a already/);
  assert.match(refusal(await rig.admin.ask('createKey', { name: 'b', pubkey: hex('a') })), /here already, as a/);
  assert.match(refusal(await rig.admin.ask('createKey', { name: 'b', pubkey: 'npub1x' })), /64 hex digits/);
  assert.match(refusal(await rig.admin.ask('createKey', { name: '', pubkey: hex('b') })), /needs a name/);
  rig.main.tell('settings', { reserved: [hex('admin')], advertised: [] });
  assert.match(
    refusal(await rig.main.ask('createKey', { name: 'b', pubkey: hex('admin') })),
    /an admin's or the daemon's/,
  );
  rig.sql(`UPDATE "Key" SET deletedAt = 1 WHERE keyName = 'a'`);
  assert.match(
    refusal(await rig.main.ask('createKey', { name: 'a', pubkey: hex('b') })),
    /deleted, and keeps its name/,
  );
  const keys = await rig.admin.ask('listKeys', null);
  assert.equal(
    keys.map(({ name, deletedAt, userCount, tokenCount }) => [name, deletedAt, userCount, tokenCount]),
    [
      ['a', 1, 0, 0],
      ['key', null, 1, 2],
    ],
  );
  assert.equal(await rig.main.ask('keys', null), keys);
  await rig.end();
});

test('a lock lasts over a restart', async () => {
  const rig = await Rig.open();
  await rig.makeKey();
  assert.ok((await rig.admin.ask('setLocked', { name: 'key', locked: true })).ok);
  assert.match(refusal(await rig.admin.ask('setLocked', { name: 'nokey', locked: true })), /no key nokey/);
  await rig.stop();
  await rig.start();
  assert.type((await rig.admin.ask('listKeys', null))[0]?.lockedAt, 'number');
  await rig.admin.ask('setLocked', { name: 'key', locked: false });
  assert.is((await rig.admin.ask('listKeys', null))[0]?.lockedAt, null);
  await rig.end();
});

test('policies: all of it or nothing; kinds are text, and only of sign_event', async () => {
  const rig = await Rig.open();
  const rules = [
    rule({ kind: '21000', maxUsageCount: 5 }),
    rule({ method: 'nip44_encrypt', kind: '4' }),
    rule({ kind: '' }),
    rule({ kind: 'all' }),
  ];
  const made = await rig.admin.ask('createPolicy', { name: 'spire', description: 'd', expiresAt: null, rules });
  assert.ok(made.ok);
  const [listed] = await rig.admin.ask('listPolicies', null);
  if (made.ok) assert.equal(listed, made.value);
  assert.equal(
    listed?.rules.map(({ method, kind }) => [method, kind]),
    [
      ['sign_event', '21000'],
      ['nip44_encrypt', null],
      ['sign_event', null],
      ['sign_event', 'all'],
    ],
  );
  assert.equal([listed?.rules[0]?.maxUsageCount, listed?.rules[0]?.currentUsageCount], [5, 0]);
  assert.equal(rig.sql('SELECT kind, typeof(kind) AS t FROM "PolicyRule" WHERE id = 1'), [
    { kind: '21000', t: 'text' },
  ]);

  const bad = (over: Partial<NewRule>) =>
    rig.admin.ask('createPolicy', { name: 'bad', ...plain, rules: [rule(), rule(over)] }).then(refusal);
  assert.match(await bad({ method: 'sing_event' }), /rule 2: its method/);
  assert.match(await bad({ kind: 'everything' }), /rule 2: its kind/);
  assert.match(await bad({ kind: '65536' }), /rule 2: its kind/);
  assert.match(await bad({ kind: '01' }), /rule 2: its kind/);
  assert.match(await bad({ maxUsageCount: -1 }), /rule 2: its use count/);
  assert.match(await bad({ maxUsagePerToken: 1.5 }), /rule 2: its use count/);
  assert.match(await bad({ expiresAt: 5 }), /rule 2: it would be expired/);
  assert.match(refusal(await rig.admin.ask('createPolicy', { name: ' ', ...plain, rules: [] })), /needs a name/);
  assert.match(
    refusal(await rig.admin.ask('createPolicy', { name: 'x', description: null, expiresAt: 5, rules: [] })),
    /expired already/,
  );
  assert.is((await rig.admin.ask('listPolicies', null)).length, 1);
  rig.sql('UPDATE "Policy" SET deletedAt = 5');
  assert.equal(await rig.admin.ask('listPolicies', null), []);
  await rig.end();
});

test('tokens: 64 hex digits of the generator, for a living key and policy, and a date that makes sense', async () => {
  const rig = await Rig.open();
  await rig.makeKey();
  const policyId = await rig.policy({ method: 'sign_event' });
  const wanted = { keyName: 'key', clientName: 'atm', policyId, expiresAt: null, createdBy: hex('admin') };
  const secrets = new Set<string>();
  for (let i = 0; i < 20; i++) {
    const made = await rig.admin.ask('createToken', wanted);
    if (made.ok) secrets.add(made.value.secret);
  }
  assert.is(secrets.size, 20);
  for (const secret of secrets) assert.match(secret, /^[0-9a-f]{64}$/);
  const ask = (over: object) => rig.admin.ask('createToken', { ...wanted, ...over }).then(refusal);
  assert.match(await ask({ keyName: 'nokey' }), /no key nokey/);
  assert.match(await ask({ policyId: 77 }), /no policy 77/);
  assert.match(await ask({ expiresAt: Date.now() - 1 }), /expired already/);
  assert.match(await ask({ expiresAt: Number.NaN }), /expired already/);
  assert.match(await ask({ expiresAt: Date.now() + 200 * 366 * 86_400_000 }), /100 years/);
  rig.sql('UPDATE "Policy" SET expiresAt = 5');
  assert.match(await ask({}), /policy 1 \(p\) has expired/);
  rig.sql('UPDATE "Policy" SET expiresAt = NULL, deletedAt = 5');
  assert.match(await ask({}), /no policy 1/);
  rig.sql('UPDATE "Policy" SET deletedAt = NULL');
  rig.sql('UPDATE "Key" SET deletedAt = 5');
  assert.match(await ask({}), /key key was deleted/);
  assert.is((await rig.admin.ask('listTokens', { keyName: 'key' })).length, 20);
  await rig.end();
});

test('a list of tokens says what became of each', async () => {
  const rig = await Rig.open();
  await rig.makeKey();
  const redeemed = await rig.pair(hex('client'), { method: 'sign_event' });
  const revoked = await rig.token(1);
  assert.ok((await rig.admin.ask('revokeToken', { id: revoked.id })).ok);
  assert.ok((await rig.admin.ask('revokeToken', { id: revoked.id })).ok);
  assert.match(refusal(await rig.admin.ask('revokeToken', { id: 99 })), /no token 99/);
  const [first, second] = await rig.admin.ask('listTokens', { keyName: 'key' });
  assert.equal(
    [first?.id, first?.redeemedBy, first?.keyUserId, first?.revokedAt],
    [redeemed.id, hex('client'), 1, null],
  );
  assert.equal([first?.keyPubkey, first?.policyName, first?.secret], [hex('pubkey of key'), 'p', redeemed.secret]);
  assert.equal([second?.redeemedAt, second?.redeemedBy], [null, null]);
  assert.type(second?.revokedAt, 'number');
  assert.equal(await rig.admin.ask('listTokens', { keyName: 'other' }), []);
  await rig.end();
});

test('an admin event is carried out once, in this run and in the next, and what it did is in the log', async () => {
  const rig = await Rig.open();
  const event = fresh();
  const begin = { admin: hex('admin'), event, method: 'create_new_key', target: 'key', createdAt: 1_780_000_000 };
  const answers = await Promise.all([1, 2, 3].map(() => rig.admin.ask('begin', begin)));
  assert.equal(answers.map(refusal), ['ok', 'replayed', 'replayed']);
  const { createdAt: _, ...end } = begin;
  assert.ok((await rig.admin.ask('end', { ...end, outcome: 'ok'.repeat(1000) })).ok);
  await rig.stop();
  await rig.start();
  assert.is(refusal(await rig.admin.ask('begin', begin)), 'replayed');
  assert.is(refusal(await rig.admin.ask('begin', { ...begin, event: fresh() })), 'ok');
  const rows = rig.audit();
  assert.equal(
    rows.map(({ type, method, params }) => [type, method, params.phase, params.target]),
    [
      ['admin', 'create_new_key', 'begin', 'key'],
      ['admin', 'create_new_key', 'end', 'key'],
      ['admin', 'create_new_key', 'begin', 'key'],
    ],
  );
  assert.is(String(rows[1]?.params.outcome).length, 501);
  await rig.end();
});

test('an admin event that cannot be recorded is not begun', async () => {
  const rig = await Rig.open();
  const lock = rig.other();
  lock.exec('BEGIN IMMEDIATE');
  const begin = { admin: hex('admin'), event: fresh(), method: 'unlock_key', target: 'key', createdAt: 1 };
  assert.is(refusal(await rig.admin.ask('begin', begin)), 'audit log unavailable');
  lock.exec('ROLLBACK');
  lock.close();
  assert.is(refusal(await rig.admin.ask('begin', begin)), 'ok');
  await rig.end();
});

test('a revoked token cannot be redeemed, and grants nothing when it was, at the next decision', async () => {
  const rig = await Rig.open();
  await rig.makeKey();
  const { id } = await rig.pair(hex('client'), { method: 'sign_event' });
  const open = await rig.token(1);
  assert.is(said(await rig.decide()), 'ok');
  await rig.admin.ask('revokeToken', { id });
  await rig.admin.ask('revokeToken', { id: open.id });
  assert.is(said(await rig.decide()), 'token revoked');
  assert.is(said(await rig.connect(open.secret, { client: hex('late') })), 'token revoked');
  assert.is(said(await rig.decide({ method: 'ping', kind: null })), 'ok');
  await rig.end();
});

test('status and clients', async () => {
  const rig = await Rig.open();
  await rig.makeKey();
  assert.equal(await rig.admin.ask('status', null), {
    writable: true,
    lastWrite: null,
    failure: null,
    schemaVersion: 2,
    auditRows: 0,
    waiting: 0,
  });
  await rig.pair(hex('client'), { method: 'sign_event' });
  const status = await rig.admin.ask('status', null);
  assert.is(status.auditRows, 1);
  assert.type(status.lastWrite, 'number');
  rig.sql('UPDATE "KeyUser" SET revokedAt = 1');
  assert.equal(await rig.main.ask('clients', { keyName: 'key' }), [hex('client')]);
  assert.equal(await rig.main.ask('clients', { keyName: 'nokey' }), []);
  await rig.end();
});

test("a key's port speaks for that key only", async () => {
  const rig = await Rig.open();
  await rig.makeKey();
  await rig.makeKey('second');
  await rig.pair(hex('client'), { method: 'sign_event' });
  assert.is(said(await rig.decide({}, 'second')), 'no binding');
  const forged = { ...rig.asked(), keyName: 'key' };
  assert.is(said(await rig.key('second').ask('decide', forged)), 'no binding');
  await rig.end();
});

test('denials are logged in full once for each client and kind, then counted', async () => {
  const rig = await Rig.open();
  await rig.makeKey();
  await rig.pair(hex('client'), { method: 'sign_event', kind: '1' });
  for (let i = 0; i < 10; i++) await rig.decide({ kind: 2 });
  await rig.decide({ kind: null, method: 'nip44_encrypt', peer: hex('peer') });
  const lines = rig.logs.filter(({ message }) => message === 'denied');
  assert.is(lines.length, 2);
  assert.equal(lines[0]?.fields, {
    keyName: 'key',
    client: hex('client'),
    method: 'sign_event',
    rule: 'nothing-answers',
    refusal: 'not authorized',
  });
  await rig.end();
});

test.run();
