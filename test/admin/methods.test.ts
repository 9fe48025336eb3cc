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

function addPolicy(name = 'p'): number {
  const id = stage.records.policies.length + 1;
  stage.records.policies.push({ id, name, description: null, createdAt: 0, updatedAt: 0, expiresAt: null, rules: [] });
  return id;
}

test('get_keys: unlocked and locked keys, and none that was deleted', async () => {
  const open = stage.records.addKey('open');
  const shut = stage.records.addKey('shut');
  stage.records.addKey('gone').deletedAt = 1;
  stage.main.unlocked.add('open');
  const createdAt = '2023-11-14T22:13:20.000Z';
  assert.equal(await result('get_keys'), [
    {
      name: 'open',
      npub: npubEncode(open.pubkey),
      userCount: 2,
      tokenCount: 3,
      pubkey: open.pubkey,
      locked: false,
      createdAt,
    },
    { name: 'shut', pubkey: shut.pubkey, locked: true, createdAt },
  ]);
  assert.equal(
    ((await result('get_keys', { details: true })) as { active: boolean }[]).map((key) => key.active),
    [true, false],
  );
  assert.equal(
    ((await result('get_keys', '{"offset":1,"limit":1}')) as { name: string }[]).map((key) => key.name),
    ['shut'],
  );
  assert.equal(
    ((await result('get_keys', { offset: 1 })) as { name: string }[]).map((key) => key.name),
    ['shut'],
  );
  assert.is(await error('get_keys', '{"limit":0}'), 'Invalid params: page.limit must be at least 1');
});

test('a list that does not fit a NIP-44 message loses our additions first, then names the paging', async () => {
  for (let i = 0; i < 400; i++) {
    stage.main.unlocked.add(stage.records.addKey(`key ${i}`, i.toString(16).padStart(64, '0')).name);
  }
  const lean = (await result('get_keys')) as object[];
  assert.is(lean.length, 400);
  assert.equal(Object.keys(lean[0]!), ['name', 'npub', 'userCount', 'tokenCount']);
  const full = await stage.ask('get_keys', [], { encryption: 'nip04' });
  assert.is(JSON.parse(full.result)[399].locked, false, 'NIP-04 has no such bound');
  for (let i = 400; i < 1000; i++) {
    stage.main.unlocked.add(stage.records.addKey(`key ${i}`, i.toString(16).padStart(64, '0')).name);
  }
  assert.match(await error('get_keys'), /65535 bytes .* \{"offset": 0, "limit": 100\}/);
  assert.is(((await result('get_keys', '{"offset":900,"limit":100}')) as object[]).length, 100);
});

test('create_new_key: its npub, and the passphrase goes to the unlocker alone', async () => {
  const made = (await result('create_new_key', 'spire-1 a.b@c_d', 'pass "quoted"\\ \u00fc\u{1f511}')) as {
    npub: string;
  };
  assert.is(made.npub, npubEncode(stage.records.keys[0]!.pubkey));
  await result('create_new_key', 'imported', 'pass', 'nsec1xyz');
  await result('create_new_key', 'sealed', 'pass', 'ncryptsec1xyz', 'its own');
  await result('create_new_key', 'none', 'pass', '');
  assert.equal(stage.main.got, [
    { name: 'spire-1 a.b@c_d', passphrase: 'pass "quoted"\\ \u00fc\u{1f511}' },
    { name: 'imported', passphrase: 'pass', imported: 'nsec1xyz' },
    { name: 'sealed', passphrase: 'pass', imported: 'ncryptsec1xyz', importPassphrase: 'its own' },
    { name: 'none', passphrase: 'pass' },
  ]);
});

test('create_new_key refuses names that are taken or no names, and an empty passphrase', async () => {
  stage.records.addKey('k');
  stage.records.addKey('gone').deletedAt = 1;
  assert.is(await error('create_new_key', 'k', 'p'), 'a key named "k" exists already');
  assert.is(
    await error('create_new_key', 'gone', 'p'),
    'a key named "gone" was deleted: its name is free once it is purged',
  );
  assert.is(await error('create_new_key', 'new', ''), 'Invalid params: passphrase is empty');
  for (const name of ['', 'a/b', 'a\n', 'x'.repeat(129), '\u00fc']) {
    assert.match(
      await error('create_new_key', name, 'p'),
      /^Invalid params: keyName must be 1 to 128 of the characters/,
    );
  }
  assert.equal(stage.main.got, []);
});

test('create_new_policy and get_policies', async () => {
  const policy = {
    name: 'spirekeeper-spire',
    description: 'machines',
    expires_at: '2100-01-01T00:00:00Z',
    rules: [
      { method: 'sign_event', kind: 21000, use_count: '5', use_count_per_token: 2 },
      { method: 'sign_event', kind: '30078' },
      { method: 'sign_event', kind: 'all', expires_at: '2099-01-01T00:00:00.000Z' },
      { method: 'sign_event' },
      { method: 'nip44_encrypt', kind: 'junk that nobody looks at', use_count: null },
      { method: 'encrypt', kind: '' },
    ],
  };
  assert.equal(await result('create_new_policy', JSON.stringify(policy)), ['ok']);
  const [made] = (await result('get_policies')) as { rules: object[]; created_at: string }[];
  const now = new Date(stage.clock.now()).toISOString();
  const rule = (id: number, method: string, kind: string | null, count: number | null = null) => ({
    method,
    kind,
    max_usage_count: count,
    current_usage_count: 0,
    id,
    expires_at: null,
    max_usage_per_token: null,
  });
  assert.equal(made, {
    id: 1,
    name: 'spirekeeper-spire',
    description: 'machines',
    created_at: now,
    updated_at: now,
    expires_at: '2100-01-01T00:00:00.000Z',
    rules: [
      { ...rule(10, 'sign_event', '21000', 5), max_usage_per_token: 2 },
      rule(11, 'sign_event', '30078'),
      { ...rule(12, 'sign_event', 'all'), expires_at: '2099-01-01T00:00:00.000Z' },
      rule(13, 'sign_event', null),
      rule(14, 'nip44_encrypt', null),
      rule(15, 'encrypt', null),
    ],
  });
});

test('a policy may be made empty, for rules that are added one by one', async () => {
  assert.equal(await result('create_new_policy', { name: 'empty', rules: [] }), ['ok']);
  const [{ id, rules }] = (await result('get_policies')) as [{ id: number; rules: unknown[] }];
  assert.equal(rules, []);
  assert.equal(await result('add_policy_rule', String(id), { method: 'sign_event', kind: 1 }), ['ok']);
  const [filled] = (await result('get_policies')) as [{ rules: unknown[] }];
  assert.is(filled.rules.length, 1);
});

test('create_new_policy refuses what is no policy, and names what is wrong', async () => {
  const refused: [unknown, string][] = [
    ['{', 'policy is not JSON'],
    ['[]', 'policy must be JSON {"name", "description"?, "expires_at"?, "rules"}'],
    [{ rules: [{ method: 'ping' }] }, 'policy.name must be text'],
    [{ name: 'nul\0', rules: [] }, 'policy.name has a NUL character or half of a surrogate pair'],
    [
      { name: 'p', description: '\ud800', rules: [] },
      'policy.description has a NUL character or half of a surrogate pair',
    ],
    [
      { name: 'p', rules: [{ method: 'ping' }, { method: 'sign_event', kind: 70_000 }] },
      'policy.rules[1].kind must be a number from 0 to 65535, or "all"',
    ],
    [
      { name: 'p', rules: [{ method: 'sign_event', kind: 1.5 }] },
      'policy.rules[0].kind must be a number from 0 to 65535, or "all"',
    ],
    [
      { name: 'p', rules: [{ method: 'ping', use_count: 0 }] },
      'policy.rules[0].use_count must be at least 1; leave it out for no limit',
    ],
    [
      { name: 'p', rules: [{ method: 'ping', expires_at: 'soon' }] },
      'policy.rules[0].expires_at must be a date like 2027-01-31T12:00:00Z',
    ],
    [{ name: 'p', expires_at: '2001-01-01', rules: [{ method: 'ping' }] }, 'expires_at is in the past'],
  ];
  for (const [policy, message] of refused) {
    const text = typeof policy === 'string' ? policy : JSON.stringify(policy);
    assert.is(await error('create_new_policy', text), `Invalid params: ${message}`);
  }
  assert.match(
    await error('create_new_policy', '{"name":"p","rules":[{"method":"sign_evnt"}]}'),
    /rules\[0\].method must be one of sign_event, /,
  );
  assert.is(stage.records.policies.length, 0);
});

test('create_new_token: durations as they come, and none that is nonsense', async () => {
  stage.records.addKey('k');
  const policy = addPolicy();
  const hour = 3_600_000;
  const good: [unknown[], number | null][] = [
    [['k', 'c', policy], null],
    [['k', 'c', String(policy), null], null],
    [['k', 'c', policy, ''], null],
    [['k', 'c', policy, 720], 720 * hour],
    [['k', 'c', policy, '1.5'], 1.5 * hour],
  ];
  for (const [params, ms] of good) {
    assert.equal(await result('create_new_token', ...params), ['ok']);
    const { expiresAt } = stage.records.tokens.at(-1)!;
    assert.is(expiresAt, ms === null ? null : stage.clock.now() + ms);
  }
  for (const hours of [0, -1, '0', '-5', 'NaN', 'Infinity', 'soon', 1e9, false, {}, [3]]) {
    assert.match(
      await error('create_new_token', 'k', 'c', policy, hours),
      /^Invalid params: durationInHours must be /,
      String(hours),
    );
  }
  assert.is(stage.records.tokens.length, good.length);
  assert.is(await error('create_new_token', 'nobody', 'c', policy), 'no key named "nobody": get_keys lists them');
  assert.is(await error('create_new_token', 'k', 'c', 99), 'no policy with id 99');
  assert.is(await error('create_new_token', 'k', 'c', 'demo'), 'Invalid params: policyId must be a number');
  assert.is(await error('create_new_token', 'k', false, policy), 'Invalid params: clientName must be text');
});

test('get_key_tokens: field by field, for a locked key too', async () => {
  const key = stage.records.addKey('k');
  const policy = addPolicy('demo');
  for (let i = 0; i < 4; i++) await result('create_new_token', 'k', `client ${i}`, policy, i === 3 ? 2 : null);
  const [redeemed, revoked] = stage.records.tokens;
  redeemed!.redeemedAt = stage.clock.now();
  redeemed!.redeemedBy = 'ab'.repeat(32);
  redeemed!.revokedAt = stage.clock.now();
  redeemed!.keyUserId = 5;
  revoked!.revokedAt = stage.clock.now();
  stage.records.tokens.reverse();
  const now = new Date(stage.clock.now()).toISOString();
  const npub = npubEncode(key.pubkey);
  const tokens = (await result('get_key_tokens', 'k')) as { id: number }[];
  assert.equal(
    tokens.map((token) => token.id),
    [1, 3, 4],
    'the revoked one that nobody redeemed is left out',
  );
  const common = { key_name: 'k', policy_id: policy, policy_name: 'demo', created_at: now, updated_at: now };
  assert.equal(tokens[0], {
    ...common,
    id: 1,
    client_name: 'client 0',
    token: `${npub}#${'1'.padStart(64, '0')}`,
    expires_at: null,
    redeemed_at: now,
    redeemed_by: 'ab'.repeat(32),
    time_until_expiration: null,
    revoked_at: now,
    key_user_id: 5,
  });
  const secret = '4'.padStart(64, '0');
  assert.equal(tokens[2], {
    ...common,
    id: 4,
    client_name: 'client 3',
    token: `${npub}#${secret}`,
    redeemed_at: null,
    redeemed_by: null,
    expires_at: new Date(stage.clock.now() + 7_200_000).toISOString(),
    time_until_expiration: 7200,
    revoked_at: null,
    key_user_id: null,
    bunker_url: `bunker://${key.pubkey}?relay=ws%3A%2F%2F127.0.0.1%3A4736&relay=wss%3A%2F%2Fb.example.com&secret=${secret}`,
  });
  assert.equal(
    ((await result('get_key_tokens', 'k', { limit: 1 })) as { id: number }[]).map((token) => token.id),
    [1],
  );
  assert.is(await error('get_key_tokens', 'other'), 'no key named "other": get_keys lists them');
});

test('issue_token: the token and its URL in one step', async () => {
  const key = stage.records.addKey('k');
  const policy = addPolicy('demo');
  const made = (await result(
    'issue_token',
    JSON.stringify({ key: 'k', client_name: 'c', policy_name: 'demo', expires_in_hours: 1 }),
  )) as Record<string, unknown>;
  assert.is(made.policy_id, policy);
  assert.is(made.time_until_expiration, 3600);
  assert.ok((made.bunker_url as string).startsWith(`bunker://${key.pubkey}?relay=`));
  const at = new Date(stage.clock.now() + 5000).toISOString();
  assert.is(
    (
      (await result('issue_token', { key: 'k', client_name: 'c', policy_id: '1', expires_at: at })) as {
        expires_at: string;
      }
    ).expires_at,
    at,
  );
  addPolicy('demo');
  const of = (options: object) => error('issue_token', JSON.stringify({ key: 'k', client_name: 'c', ...options }));
  assert.is(await of({ policy_name: 'demo' }), '2 policies are named "demo": say which by policy_id (1, 2)');
  assert.is(await of({ policy_name: 'x' }), 'no policy named "x": get_policies lists them');
  assert.is(await of({}), 'Invalid params: policy_id or policy_name is missing');
  assert.is(await of({ policy_id: 1, policy_name: 'x' }), 'Invalid params: policy_id and policy_name are both given');
  assert.is(
    await of({ policy_id: 1, expires_in_hours: 1, expires_at: at }),
    'Invalid params: expires_in_hours and expires_at exclude each other',
  );
  assert.is(await of({ policy_id: 1, expires_at: '2001-01-01' }), 'Invalid params: expires_at is in the past');
});

test('revoke_token', async () => {
  stage.records.addKey('k');
  await result('create_new_token', 'k', 'c', addPolicy());
  assert.equal(await result('revoke_token', '1'), ['ok']);
  assert.ok(stage.records.tokens[0]!.revokedAt !== null);
  assert.is(await error('revoke_token', 9), 'no token with id 9');
  assert.is(await error('revoke_token', 'x'), 'Invalid params: tokenId must be a number');
});

test('unlock_key: an unlocked key is left alone, a wrong passphrase is told', async () => {
  stage.records.addKey('k').lockedAt = stage.clock.now() - 5000;
  assert.equal(await result('unlock_key', 'k', 'nope'), { success: false, error: 'wrong passphrase' });
  assert.ok(stage.records.keys[0]!.lockedAt !== null);
  assert.equal(await result('unlock_key', 'k', 'correct horse'), { success: true });
  assert.is(stage.records.keys[0]!.lockedAt, null);
  assert.is(stage.main.got.length, 2);
  assert.equal(await result('unlock_key', 'k', 'anything'), { success: true });
  assert.is(stage.main.got.length, 2, 'no passphrase was handed to anybody');
  assert.equal(await result('unlock_key', 'x', 'p'), {
    success: false,
    error: 'no key named "x": get_keys lists them',
  });
  assert.equal(
    stage.records.ended.map((row) => row.outcome),
    ['failed: wrong passphrase', 'ok', 'ok', 'failed: no key named "x": get_keys lists them'],
  );
});

test('fifty keys are unlocked at once: each has its turn at the unlockers, and none is refused for their being busy', async () => {
  const names = Array.from({ length: 50 }, (_, i) => stage.records.addKey(`k${i}`).name);
  let release = () => {};
  stage.main.derivation = new Promise((resolve) => {
    release = resolve;
  });
  const answers = names.map((name) => stage.ask('unlock_key', [name, 'correct horse']));
  await stage.settled();
  assert.is(stage.main.got.length, 16, 'the unlockers let no more wait than twice as many');
  release();
  for (const answer of await Promise.all(answers)) assert.is(answer.result, '{"success":true}');
  assert.is(stage.main.got.length, 50);
});

test('unlock_key tells whatever keeps it from unlocking in its own form', async () => {
  stage.records.addKey('k');
  stage.records.broken = 'audit log unavailable';
  assert.equal(await result('unlock_key', 'k', 'correct horse'), { success: false, error: 'audit log unavailable' });
  stage.records.broken = null;
  stage.stopPolicy();
  assert.equal(await result('unlock_key', 'k', 'correct horse'), {
    success: false,
    error: 'audit log unavailable: nothing was done',
  });
  const unread = await stage.ask('unlock_key', ['k']);
  assert.equal([unread.result, unread.error], ['error', 'Invalid params: passphrase is missing']);
});

test('after five wrong passphrases tries are slowed down, never for good', async () => {
  stage.records.addKey('k');
  for (let i = 0; i < 5; i++)
    assert.equal(await result('unlock_key', 'k', `wrong ${i}`), { success: false, error: 'wrong passphrase' });
  const wait = (s: number) => ({ success: false, error: `too many wrong passphrases: try again in ${s} s` });
  assert.equal(await result('unlock_key', 'k', 'correct horse'), wait(1));
  stage.records.addKey('other');
  assert.equal(await result('unlock_key', 'other', 'correct horse'), wait(1), 'the admin is slowed down too');
  for (const s of [1, 2, 4, 8, 16, 32, 60, 60]) {
    stage.clock.ms += s * 1000 - 1;
    assert.equal(await result('unlock_key', 'k', 'x'), wait(1));
    stage.clock.ms += 1;
    assert.equal(await result('unlock_key', 'k', 'wrong'), { success: false, error: 'wrong passphrase' });
  }
  stage.clock.ms += 60_000;
  assert.equal(await result('unlock_key', 'k', 'correct horse'), { success: true });
  assert.equal(
    await result('unlock_key', 'other', 'wrong'),
    { success: false, error: 'wrong passphrase' },
    'success forgets the failures',
  );
});

test('lock_key: at once, durable, and recorded afterwards', async () => {
  const key = stage.records.addKey('k');
  stage.main.unlocked.add('k');
  assert.equal(await result('lock_key', 'k'), ['ok']);
  assert.is(stage.main.unlocked.size, 0);
  assert.is(key.lockedAt, stage.clock.now());
  assert.equal(stage.records.ended, [{ method: 'lock_key', target: 'k', outcome: 'ok' }]);
  assert.equal(await result('lock_key', 'k'), ['ok'], 'a locked key can be locked');
  assert.is(await error('lock_key', 'x'), 'no key named "x": get_keys lists them');
});

test('a lock works while nothing can be written, and says that a restart may undo it', async () => {
  stage.records.addKey('k');
  stage.main.unlocked.add('k');
  stage.records.broken = 'audit log unavailable';
  assert.is(
    await error('lock_key', 'k'),
    'locked now, but a restart may unlock it again: it could not be recorded (audit log unavailable)',
  );
  assert.is(stage.main.unlocked.size, 0);
});

test('lock_keys locks every key, also those that nobody has unlocked yet', async () => {
  const keys = ['a', 'b', 'c'].map((name) => stage.records.addKey(name));
  for (const name of ['a', 'b']) stage.main.unlocked.add(name);
  assert.equal(await result('lock_keys'), { locked: 2 });
  assert.ok(keys.every((key) => key.lockedAt !== null));
});

test('a lock overtakes an unlock that is in work, and wins', async () => {
  const key = stage.records.addKey('k');
  for (const method of ['lock_key', 'lock_keys']) {
    let release = () => {};
    stage.main.derivation = new Promise((resolve) => {
      release = resolve;
    });
    stage.send({ id: `u ${method}`, method: 'unlock_key', params: ['k', 'correct horse'] });
    stage.send({ id: `v ${method}`, method: 'unlock_key', params: ['k', 'correct horse', 'queued'] });
    await stage.settled();
    await stage.ask(method, method === 'lock_key' ? ['k'] : []);
    release();
    await stage.settled();
    await stage.settled();
    for (const which of ['u', 'v']) {
      const answer = JSON.parse(stage.answersTo(`${which} ${method}`)[0]!.result);
      assert.is(answer.error, 'the key was locked after this request was made: ask again if it is to be unlocked');
    }
    assert.is(stage.main.got.splice(0).length, 1, 'the one that waited was not even tried');
    assert.is(stage.main.unlocked.size, 0);
    assert.ok(key.lockedAt !== null);
    stage.clock.ms += 2000;
  }
});

test('a lock that comes while its key is being made holds', async () => {
  let release = () => {};
  stage.main.derivation = new Promise((resolve) => {
    release = resolve;
  });
  stage.send({ id: 'create', method: 'create_new_key', params: ['k', 'pass'] });
  stage.send({ id: 'lock', method: 'lock_key', params: ['k'] });
  await stage.settled();
  release();
  await stage.settled();
  await stage.settled();
  assert.is(stage.answersTo('lock')[0]!.result, '["ok"]');
  assert.is(stage.main.unlocked.size, 0);
  assert.ok(stage.records.keys[0]!.lockedAt !== null);
});

test("an unlock dated before the key's last lock is refused", async () => {
  const key = stage.records.addKey('k');
  key.lockedAt = stage.clock.now() - 10_000;
  const dated = (s: number) =>
    stage.ask('unlock_key', ['k', 'correct horse'], { createdAt: Math.floor(stage.clock.now() / 1000) - s });
  assert.is(JSON.parse((await dated(11)).result).success, false);
  assert.equal(stage.main.got, []);
  assert.is(JSON.parse((await dated(10)).result).success, true);
});

test('a lock from before the start is asked about first: it may be a replay', async () => {
  stage.records.addKey('k');
  stage.main.unlocked.add('k');
  stage.records.handlers.begin = () => ({ ok: false, refusal: 'replayed' });
  stage.send(
    { id: 'old', method: 'lock_key', params: ['k'] },
    { createdAt: Math.floor(stage.clock.now() / 1000) - 60 },
  );
  await stage.settled();
  assert.is(stage.main.unlocked.size, 1);
  assert.equal(stage.answersTo('old'), []);
});

test('get_status: what the daemon and the records say', async () => {
  const status = (await result('get_status')) as Record<string, unknown>;
  assert.is(status.version, '0.1.0');
  assert.equal(status.keys, { total: 1, unlocked: 1, locked: 0, active: 1 });
  assert.is(status.schemaVersion, 3);
  assert.equal(status.audit, { writable: true, lastWrite: null, failure: null, rows: 7, waiting: 0 });
  assert.is(((await result('get_status')) as { curve: string }).curve, 'wasm');
});

test('without the policy actor nothing is changed, status says so, and service resumes with a new one', async () => {
  stage.records.addKey('k');
  stage.main.unlocked.add('k');
  stage.stopPolicy();
  assert.equal(((await result('get_status')) as { audit: object }).audit, {
    writable: false,
    lastWrite: null,
    failure: 'the policy actor does not answer',
    rows: null,
    waiting: null,
  });
  assert.match(await error('get_policies'), /^the daemon could not carry it out/);
  assert.is(await error('create_new_key', 'new', 'p'), 'audit log unavailable: nothing was done');
  assert.equal(stage.main.got, []);
  assert.match(await error('lock_key', 'k'), /^locked now, but a restart may unlock it again/);
  assert.is(stage.main.unlocked.size, 0);
  stage.startPolicy();
  assert.equal(await result('get_policies'), []);
});

test.run();
