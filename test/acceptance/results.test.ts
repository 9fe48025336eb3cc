// deadline: 120 s
/**
 * What nsecbunkerd's methods answer, field by field and from the database up: its web interface and its operators'
 * servers read these members, and take others for a mistake (docs/ADMIN.md).
 */
import { getPublicKey, nip19 } from 'nostr-tools';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { TestDaemon } from '../support/daemon.ts';
import { adminOf, issueToken } from '../support/provision.ts';
import { parseBunkerUrl, RpcClient } from '../support/rpc.ts';

const daemon = new TestDaemon({ env: { REDOUBT_KEYSTORE_LOG_N: '14' } });
let admin: RpcClient;
const clientKey = new Uint8Array(32).fill(7);
const client = getPublicKey(clientKey);

test.before(async () => {
  await daemon.start();
  admin = await adminOf(daemon);
});
test.after(async () => {
  admin?.close();
  await daemon.remove();
});

/** The kinds of values that a member may have, by name. */
const is = {
  date: (value: unknown) => typeof value === 'string' && new Date(value).toISOString() === value,
  id: (value: unknown) => Number.isInteger(value) && Number(value) > 0,
  hex: (value: unknown) => typeof value === 'string' && /^[0-9a-f]{64}$/.test(value),
};

/** Members in any order, none missing and none more; a function says what the value may be, all else is the value. */
function matches(row: object, expected: { [member: string]: unknown }): void {
  assert.equal(Object.keys(row).sort(), Object.keys(expected).sort());
  for (const [member, value] of Object.entries(expected)) {
    const found = (row as { [member: string]: unknown })[member];
    if (typeof value !== 'function') assert.equal(found, value, member);
    else assert.ok(value(found), `${member} is ${JSON.stringify(found)}`);
  }
}

type Row = { [member: string]: unknown } & { id: number };

/** The answer has an id, a result that is text, and nothing else. */
async function result(method: string, ...params: unknown[]): Promise<string> {
  const answer = await admin.call(method, params);
  assert.equal(Object.keys(answer), ['id', 'result'], `${method}: ${answer.error}`);
  assert.type(answer.result, 'string');
  return answer.result;
}

const list = async (method: string, ...params: unknown[]) => JSON.parse(await result(method, ...params)) as Row[];

let npub: string;
let pubkey: string;
let policy: number;

test('ping, create_new_key, create_new_policy, add_policy_rule, create_new_token', async () => {
  assert.is(await result('ping'), 'ok');
  const made = JSON.parse(await result('create_new_key', 'spire-1', 'a passphrase'));
  matches(made, { npub: (value: unknown) => /^npub1[a-z0-9]{58}$/.test(String(value)) });
  npub = made.npub;
  pubkey = nip19.decode(npub as `npub1${string}`).data;
  // As the web interface sends it: kinds are left in rules that take none, and counts are text.
  const rules = [
    { method: 'sign_event', kind: 1, use_count: '5' },
    { method: 'encrypt', kind: '4' },
  ];
  assert.is(await result('create_new_policy', JSON.stringify({ name: 'web', rules })), '["ok"]');
  policy = (await list('get_policies')).find(({ name }) => name === 'web')!.id;
  assert.is(await result('add_policy_rule', String(policy), 'nip44_encrypt', '', null), '["ok"]');
  for (const hours of [null, '', '24', 0.5]) {
    assert.is(await result('create_new_token', 'spire-1', 'phone', String(policy), hours), '["ok"]');
  }
});

test('get_keys', async () => {
  await result('create_new_key', 'shut', 'a passphrase');
  await admin.result('lock_key', ['shut']);
  const keys = await list('get_keys');
  const added = { createdAt: is.date, pubkey };
  matches(keys.find(({ name }) => name === 'spire-1')!, {
    name: 'spire-1',
    npub,
    userCount: 0,
    tokenCount: 4,
    locked: false,
    ...added,
  });
  matches(keys.find(({ name }) => name === 'shut')!, { name: 'shut', ...added, locked: true, pubkey: is.hex });
});

test('get_policies', async () => {
  const row = (await list('get_policies')).find(({ name }) => name === 'web')!;
  const { rules, ...rest } = row as unknown as { rules: object[] };
  matches(rest, {
    id: policy,
    name: 'web',
    description: null,
    created_at: is.date,
    updated_at: is.date,
    expires_at: null,
  });
  const rule = { current_usage_count: 0, id: is.id, expires_at: null, max_usage_per_token: null };
  const expected = [
    { method: 'sign_event', kind: '1', max_usage_count: 5 },
    { method: 'encrypt', kind: null, max_usage_count: null },
    { method: 'nip44_encrypt', kind: null, max_usage_count: null },
  ];
  assert.is(rules.length, expected.length);
  for (const [i, one] of expected.entries()) matches(rules[i]!, { ...one, ...rule });
});

test('get_key_tokens: unredeemed, redeemed and revoked ones, of a locked key too', async () => {
  const open = await list('get_key_tokens', 'spire-1');
  assert.is(open.length, 4);
  assert.equal(
    open.map(({ id }) => id),
    open.map(({ id }) => Number(id)).sort((a, b) => a - b),
  );
  const common = {
    id: is.id,
    key_name: 'spire-1',
    client_name: 'phone',
    token: (value: unknown) => is.hex(String(value).replace(`${npub}#`, '')),
    policy_id: policy,
    policy_name: 'web',
    created_at: is.date,
    updated_at: is.date,
    revoked_at: null,
  };
  const url = (value: unknown) => String(value).startsWith(`bunker://${pubkey}?relay=`);
  const unredeemed = { redeemed_at: null, redeemed_by: null, key_user_id: null, bunker_url: url };
  const soon = (hours: number) => (value: unknown) =>
    Number(value) > hours * 3600 - 600 && Number(value) <= hours * 3600;
  matches(open[0]!, { ...common, ...unredeemed, expires_at: null, time_until_expiration: null });
  matches(open[2]!, { ...common, ...unredeemed, expires_at: is.date, time_until_expiration: soon(24) });
  matches(open[3]!, { ...common, ...unredeemed, expires_at: is.date, time_until_expiration: soon(0.5) });

  const { relay } = daemon.quickstart;
  const phone = await new RpcClient(clientKey, pubkey).open(relay);
  const [, secret] = String(open[0]!.token).split('#');
  await phone.result('connect', [pubkey, secret]);
  phone.close();
  await admin.result('revoke_token', [String(open[1]!.id)]);
  await admin.result('lock_key', ['spire-1']);
  const after = await list('get_key_tokens', 'spire-1');
  assert.equal(
    after.map(({ id }) => id),
    [open[0]!.id, open[2]!.id, open[3]!.id],
  );
  const redeemed = { redeemed_at: is.date, redeemed_by: client, key_user_id: is.id };
  matches(after[0]!, { ...common, ...redeemed, expires_at: null, time_until_expiration: null });
});

test('get_key_users, rename_key_user, add_signing_condition, revoke_user', async () => {
  const [bare] = await list('get_key_users', 'spire-1');
  const { id } = bare!;
  const common = { id, name: 'spire-1', pubkey: client, createdAt: is.date, lastUsedAt: is.date };
  matches(bare!, { ...common, description: 'phone', revokedAt: null, signingConditions: [] });
  assert.is(await result('rename_key_user', client, 'my phone'), '["ok"]');
  assert.is(await result('add_signing_condition', String(id), 'sign_event', '4', 'false'), '["ok"]');
  assert.is(await result('add_signing_condition', id, '{"method":"nip04_decrypt"}'), '["ok"]');
  assert.is(await result('revoke_user', String(id)), '["ok"]');
  const [user] = await list('get_key_users', 'spire-1');
  const { signingConditions, ...rest } = user as unknown as { signingConditions: object[] };
  matches(rest, { ...common, description: 'my phone', revokedAt: is.date });
  const condition = { id: is.id, content: null, keyUserKeyName: null, keyUserId: id };
  const [denied, allowed] = signingConditions;
  matches(denied!, { ...condition, method: 'sign_event', kind: '4', allowed: false });
  matches(allowed!, { ...condition, method: 'nip04_decrypt', kind: null, allowed: true });
});

test('unlock_key: success and failure in its own form', async () => {
  assert.is(await result('unlock_key', 'spire-1', 'wrong'), '{"success":false,"error":"wrong passphrase"}');
  assert.is(await result('unlock_key', 'spire-1', 'a passphrase'), '{"success":true}');
  assert.is(await result('unlock_key', 'spire-1', ''), '{"success":true}', 'an unlocked key needs none');
  const none = JSON.parse(await result('unlock_key', 'nobody', 'a passphrase'));
  assert.equal(Object.keys(none), ['success', 'error']);
});

test('failures: of a method, of a list, of what is unknown; what a cancelled prompt leaves is no name', async () => {
  const failed: [string, unknown[], string][] = [
    ['create_new_key', ['spire-1', 'p'], 'a key named "spire-1" exists already'],
    ['create_new_key', [false, 'p'], 'Invalid params: keyName must be text'],
    ['create_new_key', ['new', false], 'Invalid params: passphrase must be text'],
    ['create_new_key', ['new', ''], 'Invalid params: passphrase is empty'],
    ['rename_key_user', [client, false], 'Invalid params: name must be text'],
    ['rename_key_user', [client, null], 'Invalid params: name is missing'],
    ['create_new_token', ['spire-1', false, policy], 'Invalid params: clientName must be text'],
    ['create_new_token', ['spire-1', 'c', 'web'], 'Invalid params: policyId must be a number'],
    [
      'create_new_token',
      ['spire-1', 'c', policy, -1],
      'Invalid params: durationInHours must be more than 0 hours; leave it out for no end',
    ],
    ['revoke_user', [false], 'Invalid params: keyUserId must be a number'],
    ['revoke_user', [1e9], 'there is no user 1000000000: get_key_users lists them'],
  ];
  for (const [method, params, error] of failed) {
    const { id: _, ...answer } = await admin.call(method, params);
    assert.equal(answer, { result: 'error', error });
  }
  for (const [method, params, error] of [
    ['get_key_users', ['nobody'], 'no key named "nobody": get_keys lists them'],
    ['get_key_tokens', [], 'Invalid params: keyName is missing'],
    ['no_such_method', [], 'Unknown method no_such_method'],
  ] as const) {
    const { id: _, ...answer } = await admin.call(method, [...params]);
    assert.equal(answer, { result: JSON.stringify(['error', error]), error });
  }
});

test('an imported key is the same key, as nsec, as hex and under one name only', async () => {
  const secretKey = new Uint8Array(32).fill(9);
  const expected = nip19.npubEncode(getPublicKey(secretKey));
  const made = JSON.parse(await result('create_new_key', 'imported', 'p', nip19.nsecEncode(secretKey)));
  assert.equal(made, { npub: expected });
  const again = await admin.call('create_new_key', ['another', 'p', Buffer.from(secretKey).toString('hex')]);
  assert.match(again.error!, /imported/);
  const issued = await issueToken(admin, 'imported', policy);
  assert.is(parseBunkerUrl(issued.bunker_url).pubkey, getPublicKey(secretKey));
});

test.run();
