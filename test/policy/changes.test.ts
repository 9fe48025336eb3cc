/** What admins change is in force at the very next decision. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { auditEntry } from '../../src/policy/audit-filter.ts';
import type { AuditFilter, NewCondition, NewRule, Outcome } from '../../src/policy/protocol.ts';
import { fresh, hex, movableClock, Rig, said } from './rig.ts';

const refusal = (outcome: Outcome<unknown>) => (outcome.ok ? 'ok' : outcome.refusal);
const rule = (over: Partial<NewRule> = {}): NewRule => ({
  method: 'sign_event',
  kind: null,
  maxUsageCount: null,
  maxUsagePerToken: null,
  expiresAt: null,
  ...over,
});
const condition = (over: Partial<NewCondition> = {}): NewCondition => ({
  method: 'sign_event',
  kind: null,
  allowed: true,
  expiresAt: null,
  ...over,
});

let rig: Rig;
test.before.each(async () => {
  rig = await Rig.open();
  await rig.makeKey();
});
test.after.each(() => rig.end());

const users = async (keyName = 'key') => rig.admin.ask('pageUsers', { keyName, after: 0, offset: 0, limit: 100 });
const conditionsOf = async () => (await users())[0]!.conditions;

test('a revoked user is refused at once; its tokens and what it was allowed are dead for good', async () => {
  await rig.pair(hex('client'), { method: 'sign_event', kind: '1' });
  await rig.pair(hex('other'), { method: 'sign_event', kind: '1' });
  await rig.admin.ask('addCondition', { keyUserId: 1, condition: condition({ kind: '4' }) });
  await rig.admin.ask('addCondition', { keyUserId: 1, condition: condition({ kind: '5', allowed: false }) });
  // By hand, with a date as text.
  rig.sql(
    `INSERT INTO "SigningCondition" (method, kind, allowed, keyUserId, expiresAt) VALUES ('sign_event', '6', 1, 1, '2999-01-01 00:00:00')`,
  );
  for (const kind of [1, 4, 6]) assert.is(said(await rig.decide({ kind })), 'ok');
  assert.is(refusal(await rig.admin.ask('revokeUser', { id: 1 })), 'ok');
  for (const kind of [1, 4, 6]) assert.is(said(await rig.decide({ kind })), 'revoked');
  assert.is(said(await rig.decide({ method: 'ping', kind: null })), 'revoked');
  assert.is(said(await rig.decide({ client: hex('other') })), 'ok');
  const [user] = await users();
  const { revokedAt } = user!;
  assert.type(revokedAt, 'number');
  assert.equal(
    user!.conditions.map((row) => row.expiresAt),
    [revokedAt, null, revokedAt],
    'what denied goes on denying',
  );
  assert.equal(
    (await rig.admin.ask('listTokens', { keyName: 'key' })).map((token) => token.revokedAt),
    [revokedAt, null],
  );

  // A fresh token brings the client back, with what that one grants.
  const token = await rig.token(await rig.policy({ method: 'sign_event', kind: '7' }));
  assert.is(said(await rig.connect(token.secret)), 'ok');
  assert.is(said(await rig.decide({ kind: 7 })), 'ok');
  assert.is(said(await rig.decide({ kind: 1 })), 'token revoked');
  for (const kind of [4, 5, 6]) assert.is(said(await rig.decide({ kind })), 'not authorized');
  assert.match(refusal(await rig.admin.ask('revokeUser', { id: 99 })), /^there is no user 99/);
});

test('revoking is one transaction: nothing of it happens when it cannot be written', async () => {
  await rig.pair(hex('client'), { method: 'sign_event' });
  rig.sql(
    `CREATE TRIGGER full BEFORE UPDATE ON "Token" WHEN NEW.deletedAt IS NOT NULL BEGIN SELECT RAISE(ABORT, 'no'); END`,
  );
  await rig.admin.ask('revokeUser', { id: 1 }).then(
    () => assert.unreachable('it should have failed'),
    () => {},
  );
  rig.sql('DROP TRIGGER full');
  assert.is((await users())[0]!.revokedAt, null);
  assert.is(said(await rig.decide()), 'ok');
  assert.is(refusal(await rig.admin.ask('revokeUser', { id: 1 })), 'ok');
  assert.is(said(await rig.decide()), 'revoked');
});

test('what was read ahead for a client that is expected is what is in force when it asks', async () => {
  await rig.pair(hex('client'), { method: 'sign_event', kind: '1' });
  rig.key('key', true, hex('client'));
  assert.is(refusal(await rig.admin.ask('revokeUser', { id: 1 })), 'ok');
  assert.is(said(await rig.decide()), 'revoked');
  rig.key('key', true, hex('client'));
  await rig.main.ask('status', null);
  rig.sql('UPDATE "KeyUser" SET revokedAt = NULL');
  rig.sql('UPDATE "Token" SET deletedAt = NULL');
  assert.is(said(await rig.decide()), 'ok');
  // One who is bound to nothing, and a key that is not there.
  rig.key('key', true, hex('nobody'));
  rig.key('none', true, hex('client'));
  assert.is(said(await rig.decide()), 'ok');
});

test('clients are told all at once, or one by one where they are too many', async () => {
  await rig.pair(hex('client'), { method: 'sign_event' });
  const isClient = (name: string) => rig.main.ask('isClient', { keyName: 'key', client: hex(name) });
  assert.equal(await rig.main.ask('clients', { keyName: 'key' }), [hex('client')]);
  rig.sql(
    `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
     INSERT INTO "KeyUser" (keyName, userPubkey) SELECT 'key', lower(hex(randomblob(32))) FROM n`,
  );
  assert.is(await rig.main.ask('clients', { keyName: 'key' }), null);
  assert.equal([await isClient('client'), await isClient('nobody')], [true, false]);
});

test('a client that was revoked twice keeps the first date', async () => {
  await rig.pair(hex('client'), { method: 'sign_event' });
  rig.sql('UPDATE "KeyUser" SET revokedAt = 5');
  assert.is(refusal(await rig.admin.ask('revokeUser', { id: 1 })), 'ok');
  assert.is((await users())[0]!.revokedAt, 5);
});

test('users: listed by key in parts, renamed under one key or under all', async () => {
  await rig.makeKey('second');
  for (const name of ['a', 'b', 'c']) await rig.pair(hex(name), { method: 'sign_event' });
  const token = await rig.token(1, { keyName: 'second' });
  await rig.connect(token.secret, { client: hex('b') }, 'second');
  const part = await rig.admin.ask('pageUsers', { keyName: 'key', after: 0, offset: 1, limit: 1 });
  assert.equal(
    part.map(({ pubkey, keyName, description }) => [pubkey, keyName, description]),
    [[hex('b'), 'key', 'c']],
  );
  const rename = (name: string, keyName: string | null, pubkey = hex('b')) =>
    rig.admin.ask('renameUser', { pubkey, name, keyName }).then(refusal);
  const names = async () => [(await users())[1]!.description, (await users('second'))[0]!.description];
  assert.is(await rename('everywhere', null), 'ok');
  assert.equal(await names(), ['everywhere', 'everywhere']);
  assert.is(await rename('here', 'second'), 'ok');
  assert.equal(await names(), ['everywhere', 'here']);
  assert.is((await users())[0]!.description, 'c');
  assert.match(await rename('x', 'key', hex('nobody')), /^no client with that pubkey is bound to key key/);
  assert.match(await rename('x', null, hex('nobody')), /^no client with that pubkey is bound to any key/);
});

test('a rule that is added is in force at once, and an identical one is not added twice', async () => {
  await rig.pair(hex('client'), { method: 'sign_event', kind: '1' });
  const add = (over: Partial<NewRule> = {}, policyId = 1) =>
    rig.admin.ask('addRule', { policyId, rule: rule(over) }).then(refusal);
  const rules = async () => (await rig.admin.ask('listPolicies', null))[0]!.rules.length;
  assert.is(said(await rig.decide({ kind: 21000 })), 'not authorized');
  assert.is(await add({ kind: '21000' }), 'ok');
  assert.is(said(await rig.decide({ kind: 21000 })), 'ok');
  assert.is(await add({ kind: '21000' }), 'ok');
  assert.is(await rules(), 2);
  assert.is(await add({ kind: '21000', maxUsageCount: 5 }), 'ok');
  assert.is(await rules(), 3, 'a limit makes another rule of it');
  assert.is(said(await rig.decide({ kind: 9 })), 'not authorized');
  assert.is(await add(), 'ok');
  assert.is(said(await rig.decide({ kind: 9 })), 'ok', 'without a kind it is for every kind');
  assert.match(await add({ method: 'sing_event' }), /^the rule cannot be added: its method/);
  assert.match(await add({ expiresAt: 5 }), /it would be expired already/);
  assert.match(await add({}, 77), /^there is no policy 77/);
  await rig.admin.ask('deletePolicy', { id: 1 });
  assert.match(await add({ kind: '3' }), /^there is no policy 1/);
});

test('a rule that is removed grants nothing from then on, and its counts go with it', async () => {
  await rig.pair(hex('client'), { method: 'sign_event', kind: '1', maxUsagePerToken: 5 }, { method: 'nip44_encrypt' });
  assert.is(said(await rig.decide()), 'ok');
  assert.is(rig.sql('SELECT * FROM "TokenRuleUsage"').length, 1);
  assert.is(refusal(await rig.admin.ask('removeRule', { id: 1 })), 'ok');
  assert.is(said(await rig.decide()), 'not authorized');
  assert.is(said(await rig.decide({ method: 'nip44_encrypt', kind: null, peer: hex('peer') })), 'ok');
  assert.is(rig.sql('SELECT * FROM "TokenRuleUsage"').length, 0);
  assert.match(refusal(await rig.admin.ask('removeRule', { id: 1 })), /^there is no rule 1/);
});

test('a deleted policy grants nothing from then on, and is not listed', async () => {
  await rig.pair(hex('client'), { method: 'sign_event' });
  assert.is(said(await rig.decide()), 'ok');
  assert.is(refusal(await rig.admin.ask('deletePolicy', { id: 1 })), 'ok');
  assert.is(said(await rig.decide()), 'policy expired');
  assert.equal(await rig.admin.ask('listPolicies', null), []);
  assert.is(refusal(await rig.admin.ask('deletePolicy', { id: 1 })), 'ok');
  assert.match(refusal(await rig.admin.ask('deletePolicy', { id: 9 })), /^there is no policy 9/);
});

test('signing conditions allow and deny at once, until they are removed', async () => {
  await rig.pair(hex('client'), { method: 'sign_event', kind: '1' });
  const add = (over: Partial<NewCondition> = {}, keyUserId = 1) =>
    rig.admin.ask('addCondition', { keyUserId, condition: condition(over) }).then(refusal);
  const remove = (id: number) => rig.admin.ask('removeCondition', { id }).then(refusal);
  assert.is(said(await rig.decide({ kind: 9 })), 'not authorized');
  assert.is(await add(), 'ok');
  assert.equal(
    (await conditionsOf()).map(({ method, kind, allowed, keyUserId }) => [method, kind, allowed, keyUserId]),
    [['sign_event', 'all', true, 1]],
    'without a kind sign_event is for all',
  );
  assert.is(said(await rig.decide({ kind: 9 })), 'ok');
  assert.is(await add({ kind: 'all' }), 'ok');
  assert.is((await conditionsOf()).length, 1, 'the same one is not set twice');
  assert.is(await add({ kind: '1', allowed: false }), 'ok');
  assert.is(said(await rig.decide({ kind: 1 })), 'not authorized');
  assert.is(await remove(2), 'ok');
  assert.is(said(await rig.decide({ kind: 1 })), 'ok');
  assert.is(await remove(1), 'ok');
  assert.is(said(await rig.decide({ kind: 9 })), 'not authorized');
  assert.is(await add({ method: '*', allowed: false }), 'ok');
  assert.is(said(await rig.decide({ kind: 1 })), 'not authorized');
  assert.is(said(await rig.decide({ method: 'ping', kind: null })), 'not authorized');

  assert.match(await add({ method: '*' }), /can only be denied/);
  assert.match(await add({ method: 'sing_event' }), /its method is not one/);
  assert.match(await add({ kind: '65536' }), /its kind is not/);
  assert.match(await add({ expiresAt: 5 }), /expired already/);
  assert.match(await add({}, 77), /^there is no user 77/);
  assert.match(await remove(77), /^there is no signing condition 77/);
});

test('a deleted key answers nobody, keeps its name, and connects nobody', async () => {
  await rig.pair(hex('client'), { method: 'sign_event' });
  const open = await rig.token(1);
  assert.is(said(await rig.decide()), 'ok');
  assert.is(refusal(await rig.admin.ask('deleteKey', { name: 'key' })), 'ok');
  assert.is(said(await rig.decide()), 'not authorized');
  assert.is(said(await rig.connect(open.secret, { client: hex('late') })), 'not authorized');
  const [row] = await rig.admin.ask('listKeys', null);
  assert.type(row!.deletedAt, 'number');
  assert.match(refusal(await rig.admin.ask('createKey', { name: 'key', pubkey: hex('b') })), /keeps its name/);
  assert.is(refusal(await rig.admin.ask('deleteKey', { name: 'key' })), 'ok');
  assert.is((await rig.admin.ask('listKeys', null))[0]!.deletedAt, row!.deletedAt);
  assert.match(refusal(await rig.admin.ask('deleteKey', { name: 'x' })), /^no key named "x"/);
});

test('purging looks at the file: a key that another program brought back stays, one that it deleted goes', async () => {
  await rig.pair(hex('client'), { method: 'sign_event' });
  assert.is(refusal(await rig.admin.ask('deleteKey', { name: 'key' })), 'ok');
  assert.is(said(await rig.decide()), 'not authorized');
  rig.sql('UPDATE "Key" SET deletedAt = NULL');
  assert.match(refusal(await rig.admin.ask('purgeKey', { name: 'key' })), /is not deleted/);
  assert.is(said(await rig.decide()), 'ok');
  rig.sql('UPDATE "Key" SET deletedAt = 1');
  assert.is(refusal(await rig.admin.ask('purgeKey', { name: 'key' })), 'ok');
  assert.is(said(await rig.decide()), 'no binding');
  assert.match(refusal(await rig.admin.ask('purgeKey', { name: 'key' })), /^no key named/);
});

test('changes that cannot be written change nothing, and say so', async () => {
  await rig.pair(hex('client'), { method: 'sign_event' });
  const lock = rig.other();
  lock.exec('BEGIN IMMEDIATE');
  const outcomes = await Promise.all([
    rig.admin.ask('revokeUser', { id: 1 }),
    rig.admin.ask('deletePolicy', { id: 1 }),
    rig.admin.ask('deleteKey', { name: 'key' }),
  ]);
  lock.exec('ROLLBACK');
  lock.close();
  for (const outcome of outcomes)
    assert.match(refusal(outcome), /^nothing was changed, the database cannot be written/);
  assert.is(said(await rig.decide()), 'ok');
});

test('the audit log is found by key, client and time, the newest first', async () => {
  await rig.end();
  const clock = movableClock();
  rig = await Rig.open({}, clock);
  await rig.makeKey();
  await rig.makeKey('second');
  await rig.pair(hex('client'), { method: 'sign_event' });
  const token = await rig.token(1, { keyName: 'second' });
  await rig.connect(token.secret, { client: hex('other') }, 'second');
  clock.advance(60_000);
  await rig.decide({ requestId: 'r' });
  const event = fresh();
  await rig.admin.ask('begin', { admin: hex('admin'), event, method: 'lock_key', target: 'second', createdAt: 1 });
  const find = async (over: Partial<AuditFilter> = {}) => {
    const filter = { key: null, client: null, since: null, offset: 0, limit: 100, ...over };
    const found = await rig.admin.ask('listAudit', filter);
    assert.ok(found.ok);
    return found.ok ? found.value : [];
  };
  const ids = async (over: Partial<AuditFilter> = {}) => (await find(over)).map((row) => row.id);
  assert.equal(await ids(), [4, 3, 2, 1]);
  assert.equal(await ids({ limit: 2 }), [4, 3]);
  assert.equal(await ids({ limit: 2, offset: 1 }), [3, 2]);
  assert.equal(await ids({ key: 'key' }), [3, 1]);
  assert.equal(await ids({ key: 'second' }), [4, 2]);
  assert.equal(await ids({ client: hex('client') }), [3, 1]);
  assert.equal(await ids({ client: hex('client'), key: 'second' }), []);
  assert.equal(await ids({ since: clock.now() }), [4, 3]);
  assert.equal(await ids({ since: clock.now() + 1 }), []);
  const entry = auditEntry((await find({ limit: 1, client: hex('client') }))[0]!);
  assert.equal(
    [entry.id, entry.timestamp, entry.type, entry.method, entry.keyUserId],
    [3, new Date(clock.now()).toISOString(), 'request', 'sign_event', 1],
  );
  assert.is((entry.params as { request: string }).request, 'r');
  assert.match(entry.hash!, /^[0-9a-f]{64}$/);
});

test('more rows than are looked at in one step, and rows that no program of ours wrote', async () => {
  await rig.pair(hex('client'), { method: 'sign_event' });
  rig.sql(
    `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4500)
     INSERT INTO "Log" (timestamp, type, method, params) SELECT '2099-01-01 00:00:00', 'old', 'm', 'no JSON' FROM n`,
  );
  const filter = { key: null, client: hex('client'), since: null, offset: 0, limit: 10 };
  const found = await rig.admin.ask('listAudit', filter);
  assert.ok(found.ok && found.value.length === 1 && found.value[0]!.id === 1);
  const all = await rig.admin.ask('listAudit', { ...filter, client: null, limit: 10_000 });
  if (!all.ok) throw new Error(all.refusal);
  assert.equal(
    all.value.map((row) => row.id),
    Array.from({ length: 4501 }, (_, i) => 4501 - i),
  );
  assert.equal(auditEntry(all.value[0]!).params, 'no JSON');
});

test.run();
