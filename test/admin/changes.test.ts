/** Clients, rules, conditions, deletions and the audit log over the admin RPC. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { npubEncode } from '../../src/admin/npub.ts';
import { asking } from './asking.ts';
import { makeStage, type Stage } from './stage.ts';

let stage: Stage;
test.before.each(async () => {
  stage = await makeStage();
});
test.after.each(() => stage.end());

const { result, error } = asking(() => stage);

function addPolicy(): number {
  const id = stage.records.policies.length + 1;
  stage.records.policies.push({
    id,
    name: 'p',
    description: null,
    createdAt: 0,
    updatedAt: 0,
    expiresAt: null,
    rules: [],
  });
  return id;
}

/** What was asked of the policy actor last. */
const asked = () => stage.records.asked.at(-1);

test('get_key_users: field by field, for a locked key too', async () => {
  stage.records.addKey('k');
  stage.records.addKey('gone').deletedAt = 1;
  const user = stage.records.addUser('k');
  user.description = 'phone';
  user.lastUsedAt = 1_700_000_001_000;
  user.revokedAt = 1_700_000_002_000;
  const condition = {
    id: 3,
    method: 'sign_event',
    kind: 'all',
    content: null,
    keyUserKeyName: null,
    allowed: true,
    keyUserId: user.id,
  };
  user.conditions.push({ ...condition, expiresAt: 1_700_000_002_000 });
  const other = stage.records.addUser('k');
  const listed = [
    {
      id: user.id,
      name: 'k',
      pubkey: user.pubkey,
      description: 'phone',
      createdAt: '2023-11-14T22:13:20.000Z',
      lastUsedAt: '2023-11-14T22:13:21.000Z',
      revokedAt: '2023-11-14T22:13:22.000Z',
      signingConditions: [condition],
    },
    {
      id: other.id,
      name: 'k',
      pubkey: other.pubkey,
      description: null,
      createdAt: '2023-11-14T22:13:20.000Z',
      lastUsedAt: null,
      revokedAt: null,
      signingConditions: [],
    },
  ];
  assert.equal(await result('get_key_users', 'k'), listed);
  const expiring = { ...condition, expiresAt: '2023-11-14T22:13:22.000Z' };
  assert.equal(await result('get_key_users', 'k', { details: true }), [
    { ...listed[0], signingConditions: [expiring] },
    listed[1],
  ]);
  const part = (await result('get_key_users', 'k', '{"offset":1,"limit":1}')) as { id: number }[];
  assert.equal(
    part.map((row) => row.id),
    [other.id],
  );
  assert.is(await error('get_key_users', 'x'), 'no key named "x": get_keys lists them');
  assert.is(await error('get_key_users', 'gone'), 'no key named "gone": get_keys lists them');
  assert.is(await error('get_key_users'), 'Invalid params: keyName is missing');
});

test('rename_key_user: under every key, or under the one that is named', async () => {
  const { pubkey } = stage.records.addUser('k');
  const done = async (params: unknown[], keyName: string | null) => {
    assert.equal(await result('rename_key_user', ...params), ['ok']);
    assert.equal(asked(), ['renameUser', { pubkey, name: 'phone', keyName }]);
  };
  await done([pubkey, 'phone'], null);
  await done([npubEncode(pubkey), 'phone', null], null);
  await done([pubkey.toUpperCase(), 'phone', 'k'], 'k');
  // A cancelled prompt leaves false.
  assert.is(await error('rename_key_user', pubkey, false), 'Invalid params: name must be text');
  assert.is(await error('rename_key_user', pubkey, ''), 'Invalid params: name is empty');
  assert.is(await error('rename_key_user', pubkey), 'Invalid params: name is missing');
  for (const bad of ['npub1x', '12', 7, {}]) {
    assert.match(await error('rename_key_user', bad, 'phone'), /^Invalid params: pubkey must be a public key/);
  }
  assert.is(stage.records.asked.length, 3);
});

test('revoke_user', async () => {
  const user = stage.records.addUser('k');
  assert.equal(await result('revoke_user', String(user.id)), ['ok']);
  assert.is(user.revokedAt, stage.clock.now());
  assert.is(await error('revoke_user', 9), 'there is no user 9');
  assert.is(await error('revoke_user', 'x'), 'Invalid params: keyUserId must be a number');
});

test('add_policy_rule: both forms, and what a kind may be', async () => {
  const policy = addPolicy();
  const at = new Date(stage.clock.now() + 5000).toISOString();
  const forms: [unknown[], object][] = [
    [[policy, 'sign_event', 21000], { method: 'sign_event', kind: '21000' }],
    [[String(policy), 'sign_event', '30078', '5'], { method: 'sign_event', kind: '30078', maxUsageCount: 5 }],
    [[policy, 'sign_event', 'all'], { method: 'sign_event', kind: 'all' }],
    [[policy, 'sign_event'], { method: 'sign_event', kind: null }],
    [[policy, 'sign_event', ''], { method: 'sign_event', kind: null }],
    [[policy, 'sign_event', null, 7], { method: 'sign_event', kind: null, maxUsageCount: 7 }],
    [[policy, 'nip44_encrypt', 'junk'], { method: 'nip44_encrypt', kind: null }],
    [[policy, '{"method":"sign_event","kind":"1"}'], { method: 'sign_event', kind: '1' }],
    [[policy, ' {"method":"sign_event","kind":null}'], { method: 'sign_event', kind: null }],
    [
      [policy, { method: 'sign_event', kind: '', use_count: 2, use_count_per_token: 1, expires_at: at }],
      { method: 'sign_event', kind: null, maxUsageCount: 2, maxUsagePerToken: 1, expiresAt: Date.parse(at) },
    ],
  ];
  for (const [params, rule] of forms) {
    assert.equal(await result('add_policy_rule', ...params), ['ok']);
    const { id: _, currentUsageCount: _used, ...made } = stage.records.policies[0]!.rules.at(-1)!;
    assert.equal(made, { maxUsageCount: null, maxUsagePerToken: null, expiresAt: null, ...rule });
  }
  const refused: [unknown[], RegExp][] = [
    [[], /^Invalid params: policyId is missing$/],
    [['p', 'ping'], /^Invalid params: policyId must be a number$/],
    [[policy], /^Invalid params: rule is missing$/],
    [[policy, '{'], /^Invalid params: rule is not JSON$/],
    [[policy, []], /^Invalid params: rule must be an object/],
    [[policy, 'sing_event'], /^Invalid params: rule.method must be one of sign_event, /],
    [[policy, 'sign_event', 70_000], /^Invalid params: rule.kind must be a number from 0 to 65535, or "all"$/],
    [[policy, 'sign_event', 1, 0], /^Invalid params: rule.use_count must be at least 1/],
    [[policy, { method: 'ping', expires_at: '2001-01-01' }], /^Invalid params: rule.expires_at is in the past$/],
    [[99, 'ping'], /^there is no policy 99$/],
  ];
  for (const [params, message] of refused) assert.match(await error('add_policy_rule', ...params), message);
  assert.is(stage.records.policies[0]!.rules.length, forms.length);
});

test('remove_policy_rule and delete_policy', async () => {
  const policy = addPolicy();
  await result('add_policy_rule', policy, 'ping');
  const { id } = stage.records.policies[0]!.rules[0]!;
  assert.equal(await result('remove_policy_rule', String(id)), ['ok']);
  assert.is(stage.records.policies[0]!.rules.length, 0);
  assert.is(await error('remove_policy_rule', id), `there is no rule ${id}`);
  assert.is(await error('remove_policy_rule'), 'Invalid params: ruleId is missing');
  assert.equal(await result('delete_policy', policy), ['ok']);
  assert.equal(await result('get_policies'), []);
  assert.is(await error('delete_policy', 'p'), 'Invalid params: policyId must be a number');
});

test('add_signing_condition: both forms; sign_event without a kind is for all', async () => {
  const at = new Date(stage.clock.now() + 5000).toISOString();
  const forms: [unknown[], object][] = [
    [['5', 'sign_event'], { method: 'sign_event', kind: 'all', allowed: true }],
    [[5, 'sign_event', ''], { method: 'sign_event', kind: 'all', allowed: true }],
    [[5, 'sign_event', 4, 'false'], { method: 'sign_event', kind: '4', allowed: false }],
    [[5, 'sign_event', null, false], { method: 'sign_event', kind: 'all', allowed: false }],
    [[5, 'nip44_decrypt', 4, 1], { method: 'nip44_decrypt', kind: null, allowed: true }],
    [[5, '*', null, 0], { method: '*', kind: null, allowed: false }],
    [[5, '{"method":"sign_event"}'], { method: 'sign_event', kind: 'all', allowed: true }],
    [
      [5, { method: 'sign_event', kind: '7', allowed: false, expires_at: at }],
      { method: 'sign_event', kind: '7', allowed: false, expiresAt: Date.parse(at) },
    ],
  ];
  for (const [params, condition] of forms) {
    assert.equal(await result('add_signing_condition', ...params), ['ok']);
    assert.equal(asked(), ['addCondition', { keyUserId: 5, condition: { expiresAt: null, ...condition } }]);
  }
  const refused: [unknown[], RegExp][] = [
    [['x', 'ping'], /^Invalid params: keyUserId must be a number$/],
    [[5], /^Invalid params: condition is missing$/],
    [[5, 'sing_event'], /^Invalid params: condition.method must be one of /],
    [[5, 'sign_event', 'some'], /^Invalid params: condition.kind must be a number/],
    [[5, 'sign_event', 1, 'maybe'], /^Invalid params: condition.allowed must be true or false$/],
    [[5, '*'], /^Invalid params: condition.method \* can only be denied/],
    [[5, { method: 'ping', expires_at: 5 }], /^Invalid params: condition.expires_at is in the past$/],
  ];
  for (const [params, message] of refused) assert.match(await error('add_signing_condition', ...params), message);
  assert.is(stage.records.asked.length, forms.length);
  assert.equal(await result('remove_signing_condition', '3'), ['ok']);
  assert.equal(asked(), ['removeCondition', { id: 3 }]);
});

test('delete_key: first the row, then its actor ends; its name stays taken', async () => {
  const key = stage.records.addKey('k');
  stage.main.unlocked.add('k');
  assert.equal(await result('delete_key', 'k'), ['ok']);
  assert.is(key.deletedAt, stage.clock.now());
  assert.equal([stage.main.unlocked.size, stage.main.deleted], [0, ['k']]);
  assert.equal(await result('get_keys'), []);
  assert.match(await error('create_new_key', 'k', 'p'), /^a key named "k" was deleted/);
  assert.equal(await result('unlock_key', 'k', 'correct horse'), {
    success: false,
    error: 'no key named "k": get_keys lists them',
  });
  assert.is(await error('delete_key', 'x'), 'no key named "x"');
  assert.equal(stage.main.deleted, ['k']);
});

test('every change is recorded before and after, with what it works on; what is only read is not', async () => {
  stage.records.addKey('k');
  const user = stage.records.addUser('k');
  const policy = addPolicy();
  const changes: [string, unknown[], string][] = [
    ['rename_key_user', [user.pubkey, 'n', 'k'], `${user.pubkey} of k`],
    ['revoke_user', [1], 'user 1'],
    ['add_policy_rule', [policy, 'sign_event', 1], 'policy 1: sign_event:1'],
    ['remove_policy_rule', [20], 'rule 20'],
    ['delete_policy', [policy], 'policy 1'],
    ['add_signing_condition', [1, 'sign_event', 1, false], 'user 1: deny sign_event:1'],
    ['remove_signing_condition', [1], 'signing condition 1'],
    ['delete_key', ['k'], 'k'],
  ];
  for (const [method, params] of changes) await result(method, ...params);
  await error('revoke_user', 9);
  await result('get_audit');
  assert.equal(
    stage.records.begun.map(({ method, target }) => [method, target]),
    [...changes.map(([method, , target]) => [method, target]), ['revoke_user', 'user 9']],
  );
  assert.equal(
    stage.records.ended.map(({ outcome }) => outcome),
    [...changes.map(() => 'ok'), 'failed: there is no user 9'],
  );
});

test('nothing is changed while it cannot be recorded', async () => {
  stage.records.addKey('k');
  const user = stage.records.addUser('k');
  stage.records.broken = 'audit log unavailable';
  assert.is(await error('revoke_user', 1), 'audit log unavailable');
  assert.is(await error('delete_key', 'k'), 'audit log unavailable');
  assert.equal([user.revokedAt, stage.records.keys[0]!.deletedAt], [null, null]);
});

test('a list that was asked for after a change shows it, however long the change takes', async () => {
  stage.records.addKey('k');
  stage.records.addUser('k');
  const { revokeUser } = stage.records.handlers;
  stage.records.handlers.revokeUser = async (body) => {
    await new Promise((resolve) => setTimeout(resolve, 20));
    return revokeUser(body);
  };
  stage.stopPolicy();
  stage.startPolicy();
  stage.send({ id: 'first', method: 'revoke_user', params: ['1'] });
  const [user] = (await result('get_key_users', 'k')) as { revokedAt: string | null }[];
  assert.type(user!.revokedAt, 'string');
});

test('get_audit: what is looked for, and rows field by field', async () => {
  const client = 'ab'.repeat(32);
  const params = { keyName: 'k', client, kind: 1, envelope: 'e', body: 'b', request: 'r' };
  stage.records.audit = [
    {
      id: 7,
      timestamp: 1_700_000_000_000,
      type: 'request',
      method: 'sign_event',
      params: JSON.stringify(params),
      keyUserId: 2,
      hash: 'cd'.repeat(32),
    },
  ];
  assert.equal(await result('get_audit'), [
    {
      id: 7,
      timestamp: '2023-11-14T22:13:20.000Z',
      type: 'request',
      method: 'sign_event',
      keyUserId: 2,
      params,
      hash: 'cd'.repeat(32),
    },
  ]);
  const all = { key: null, client: null, since: null, offset: 0, limit: 100 };
  assert.equal(asked(), ['listAudit', all]);
  await result('get_audit', JSON.stringify({ key: 'k', client: npubEncode(client), since: '2023-11-14', limit: 5 }));
  assert.equal(asked(), ['listAudit', { key: 'k', client, since: Date.parse('2023-11-14'), offset: 0, limit: 5 }]);
  await result('get_audit', {}, { offset: 10, limit: 20 });
  assert.equal(asked(), ['listAudit', { ...all, offset: 10, limit: 20 }]);
  await result('get_audit', { offset: 5, limit: 20 });
  assert.equal(asked(), ['listAudit', { ...all, offset: 5, limit: 20 }]);
  assert.is(await error('get_audit', { limit: 0 }), 'Invalid params: filter.limit must be at least 1');
  assert.is(await error('get_audit', {}, { limit: 1001 }), 'Invalid params: page.limit must be at most 1000');
  assert.is(await error('get_audit', { limit: 1001 }), 'Invalid params: filter.limit must be at most 1000');
  assert.match(await error('get_audit', { client: 'x' }), /^Invalid params: filter.client must be a public key/);
  assert.match(await error('get_audit', 'soon'), /^Invalid params: filter is not JSON$/);

  stage.records.audit = Array.from({ length: 130 }, (_, i) => ({ ...stage.records.audit[0]!, id: i }));
  const [row] = (await result('get_audit', { key: 'long' })) as { params: object }[];
  assert.equal(Object.keys(row!), ['id', 'timestamp', 'type', 'method', 'keyUserId', 'params', 'hash']);
  stage.records.audit = Array.from({ length: 260 }, (_, i) => ({ ...stage.records.audit[0]!, id: i }));
  const [lean] = (await result('get_audit', { key: 'longer' })) as { params: object }[];
  assert.equal(Object.keys(lean!), ['id', 'timestamp', 'type', 'method', 'keyUserId', 'params']);
  assert.equal(lean!.params, { keyName: 'k', client, kind: 1 });
});

test('change_passphrase: what was not done is told, keys that were not tried too', async () => {
  const changed = (as: Stage['main']['changed']) => {
    stage.main.changed = as;
    return error('change_passphrase', '*', 'old', `new ${JSON.stringify(as)}`);
  };
  const untried = '3 keys were not tried, for the keystore has too many passphrases: change them by their names';
  const failed = [{ name: 'k', error: 'key file is damaged' }];
  assert.is(
    await changed({ ok: true, changed: 2, failed: [], untried: 3 }),
    `2 keys have the new passphrase; ${untried}`,
  );
  assert.is(
    await changed({ ok: true, changed: 2, failed, untried: 3 }),
    `2 keys have the new passphrase; not so k (key file is damaged); ${untried}`,
  );
  assert.is(await changed({ ok: false, refusal: 'wrong passphrase', untried: 3 }), `wrong passphrase; ${untried}`);
  assert.is(await changed({ ok: false, refusal: 'wrong passphrase' }), 'wrong passphrase');
});

test.run();
