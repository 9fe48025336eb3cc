/** Every method of the client protocol and every refusal of it, word for word (docs/PROTOCOL.md). */
import { generateSecretKey, getPublicKey, nip04, nip44, verifyEvent } from 'nostr-tools';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { SignedEvent } from '../support/clients.ts';
import { TestDaemon } from '../support/daemon.ts';
import { auditRows, change, usesCounted } from '../support/database.ts';
import { dropped } from '../support/metrics.ts';
import { adminOf, issueToken, type Paired, pair, type Rule } from '../support/provision.ts';
import { type Encryption, parseBunkerUrl, RpcClient, type RpcResponse } from '../support/rpc.ts';
import { until } from '../support/until.ts';

const daemon = new TestDaemon({
  env: { REDOUBT_LIMITS_STRANGERS_PER_KEY: '1000', REDOUBT_LIMITS_STRANGERS_TOTAL: '1000' },
});
const CIPHERS = ['nip44_encrypt', 'nip44_decrypt', 'nip04_encrypt', 'nip04_decrypt'];
const ENCRYPTIONS: Encryption[] = ['nip44', 'nip04'];
const SIGN: Rule[] = [{ method: 'sign_event', kind: 1 }];

let admin: RpcClient;
let paired: Paired;
let client: RpcClient;

test.before(async () => {
  await daemon.start();
  admin = await adminOf(daemon);
  paired = await pair(admin, daemon.quickstart, [
    { method: 'sign_event', kind: 'all' },
    ...CIPHERS.map((method) => ({ method })),
  ]);
  client = paired.client;
});
test.after(async () => {
  admin?.close();
  client?.close();
  await daemon.remove();
});

const now = () => Math.floor(Date.now() / 1000);
const template = (more: object = {}) =>
  JSON.stringify({ kind: 1, content: crypto.randomUUID(), tags: [], created_at: now(), ...more });
const open = (secretKey = generateSecretKey()) => new RpcClient(secretKey, client.remote).open(daemon.quickstart.relay);
const newToken = async () => {
  const issued = await issueToken(admin, 'demo', paired.policy);
  return { id: issued.id, secret: parseBunkerUrl(issued.bunker_url).secret };
};

/** The error of an answer that is nothing but an error. */
function refusal(response: RpcResponse): string | undefined {
  assert.equal(Object.keys(response), ['id', 'result', 'error']);
  assert.is(response.result, '');
  return response.error;
}

for (const encryption of ENCRYPTIONS) {
  test(`every method's result, asked and answered in ${encryption}`, async () => {
    const call = async (method: string, params: unknown[]) => {
      const response = await client.call(method, params, { encryption });
      assert.equal(Object.keys(response), ['id', 'result'], `${method} succeeds, without an error member`);
      assert.is(client.deliveries.at(-1)!.encryption, encryption);
      return response.result;
    };
    assert.is(await call('connect', [client.remote, paired.secret]), 'ack');
    assert.is(await call('get_public_key', []), client.remote);
    assert.is(await call('ping', []), 'pong');
    assert.is(await call('switch_relays', []), 'null', 'it has the list from its URL');
    assert.equal(JSON.parse(await call('get_relays', [])), { [daemon.quickstart.relay]: { read: true, write: true } });
    assert.ok(verifyEvent(JSON.parse(await call('sign_event', [template()]))));

    const secretKey = generateSecretKey();
    const peer = getPublicKey(secretKey);
    const key44 = nip44.getConversationKey(secretKey, client.remote);
    assert.is(nip44.decrypt(await call('nip44_encrypt', [peer, 'eins ✓']), key44), 'eins ✓');
    assert.is(await call('nip44_decrypt', [peer, nip44.encrypt('zwei ✓', key44)]), 'zwei ✓');
    assert.is(nip04.decrypt(secretKey, client.remote, await call('nip04_encrypt', [peer, 'drei ✓'])), 'drei ✓');
    assert.is(await call('nip04_decrypt', [peer, nip04.encrypt(secretKey, client.remote, 'vier ✓')]), 'vier ✓');
  });

  test(`errors are answered in ${encryption} too`, async () => {
    const response = await client.call('no_such_method', [], { encryption });
    assert.is(refusal(response), 'unknown method no_such_method');
    assert.is(client.deliveries.at(-1)!.encryption, encryption);
  });
}

test('one client may use both encryptions in turn: each answer follows its own request', async () => {
  const asked = ['nip04', 'nip44', 'nip04', 'nip44', 'nip44', 'nip04'] as const;
  const answers = asked.map((encryption, i) => client.send('ping', [], { encryption, id: `turn-${i}` }).response);
  await Promise.all(answers);
  for (const [i, encryption] of asked.entries()) {
    const delivery = client.deliveries.find(({ text }) => JSON.parse(text).id === `turn-${i}`);
    assert.is(delivery?.encryption, encryption);
  }
});

test('an answer is an event of kind 24133 from the key to the client, of now or later', async () => {
  const begun = now();
  // A client whose clock is behind, and one whose clock is ahead.
  for (const createdAt of [begun - 300, begun + 300]) await client.call('ping', [], { createdAt });
  for (const { event } of client.deliveries.slice(-2)) {
    assert.is(event.kind, 24133);
    assert.equal(event.tags, [['p', client.pubkey]]);
    assert.is(event.pubkey, client.remote);
    assert.ok(event.created_at >= begun && event.created_at <= now());
    assert.ok(verifyEvent(event));
  }
});

test('ids are echoed verbatim; a number as the string that it prints as', async () => {
  const texts = [
    ['"x"', 'x'],
    ['7', '7'],
    ['0', '0'],
    ['-1.5', '-1.5'],
    ['1e21', '1e+21'],
    ['9007199254740991', '9007199254740991'],
    ['"\\u00fc \\"q\\" \\ud83d\\ude00"', 'ü "q" 😀'],
    [JSON.stringify('i'.repeat(256)), 'i'.repeat(256)],
  ] as const;
  for (const [json, id] of texts) {
    const answer = client.next(id);
    client.sendEvent(client.request('', [], { body: `{"id":${json},"method":"ping","params":[]}` }).event);
    assert.equal(await answer, { id, result: 'pong' });
  }
});

test('what is no request is not answered: no usable id, no method, no object, no JSON', async () => {
  const bodies = [
    JSON.stringify({ id: 'i'.repeat(257), method: 'ping', params: [] }),
    '{"id":"","method":"ping","params":[]}',
    '{"id":null,"method":"ping","params":[]}',
    '{"id":["a"],"method":"ping","params":[]}',
    '{"method":"ping","params":[]}',
    '{"id":"a","params":[]}',
    '{"id":"a","method":7}',
    '{"id":"a","result":"ack"}',
    '{"id":"a","result":"","error":"no"}',
    '[]',
    '"ping"',
    'ping',
  ];
  const before = await dropped(daemon, 'not a request');
  const received = client.received.length;
  for (const body of bodies) client.sendEvent(client.request('', [], { body }).event);
  await until('all are dropped', async () => (await dropped(daemon, 'not a request')) === before + bodies.length);
  assert.is(await client.result('ping'), 'pong');
  assert.is(client.received.length, received + 1);
});

test('parameters may be missing or null; what is not a list of strings is refused', async () => {
  const call = (body: object) => {
    const id = crypto.randomUUID();
    const answer = client.next(id);
    client.sendEvent(client.request('', [], { body: JSON.stringify({ id, ...body }) }).event);
    return answer;
  };
  assert.is((await call({ method: 'ping' })).result, 'pong');
  assert.is((await call({ method: 'ping', params: null })).result, 'pong');
  assert.is((await call({ method: 'connect', params: [null, null, null] })).result, 'ack');
  assert.is((await call({ method: 'connect', params: ['', paired.secret, '', '{"name":"x"}'] })).result, 'ack');
  assert.is(refusal(await call({ method: 'sign_event' })), 'invalid event: not a JSON object');
  assert.is(refusal(await call({ method: 'sign_event', params: [null] })), 'invalid event: not a JSON object');
  for (const params of [{}, 'x', [1], [{}], [[]], Array(17).fill('')]) {
    assert.match(refusal(await call({ method: 'ping', params }))!, /^invalid params: /);
  }
  for (const method of CIPHERS) {
    assert.match(refusal(await call({ method }))!, /^invalid params: /);
    assert.match(refusal(await call({ method, params: ['f'.repeat(64), 'x'] }))!, /^invalid params: /);
    const half = { method, params: [getPublicKey(generateSecretKey()), 'a\ud800'] };
    assert.match(refusal(await call(half))!, /^invalid params: /, 'it has no UTF-8');
    // NIP-04 can encrypt nothing; NIP-44 cannot.
    if (method === 'nip04_encrypt') continue;
    assert.match(refusal(await call({ method, params: [getPublicKey(generateSecretKey())] }))!, /^invalid params: /);
  }
});

test('an event is signed as it was given, to the last character', async () => {
  const secret = getPublicKey(generateSecretKey());
  const given = {
    kind: 30_023,
    created_at: 1_700_000_000,
    tags: [
      ['d', ''],
      [],
      ['e', secret, '', 'reply'],
      ['t', 'ünï "q" \\ / 😀'],
      ['x', '\u0000\u0001\u001f\u007f\u2028'],
    ],
    content:
      '\ufeffline\nbreak\r\ttab \b\f "quoted" \\ back/slash <script> \u0000\u000b\u2028\u2029 漢字 🏴‍☠️ e\u0301 \ufffd ',
  };
  const event = JSON.parse(await client.result('sign_event', [JSON.stringify(given)])) as SignedEvent;
  const { id, sig, pubkey, ...kept } = event;
  assert.equal(kept, given);
  assert.is(pubkey, client.remote);
  assert.match(id, /^[0-9a-f]{64}$/);
  assert.match(sig, /^[0-9a-f]{128}$/);
  assert.ok(verifyEvent(event));
});

test("the client's own id and signature are not looked at, its time and pubkey are", async () => {
  const sign = (more: object) => client.call('sign_event', [template(more)]);
  const signed = JSON.parse((await sign({ id: 'f'.repeat(64), sig: 'nonsense', pubkey: client.remote })).result);
  assert.ok(verifyEvent(signed));
  assert.is.not(signed.id, 'f'.repeat(64));

  const begun = now();
  const { created_at } = JSON.parse((await sign({ created_at: undefined })).result) as SignedEvent;
  assert.ok(created_at >= begun && created_at <= now(), 'now, when it is missing');
  for (const at of [0, 1, now() + 800]) {
    assert.is(JSON.parse((await sign({ created_at: at })).result).created_at, at);
  }
  for (const at of [-1, now() + 1000, 4_102_444_800, 1.5, '1700000000', null, 1e300]) {
    assert.match(refusal(await sign({ created_at: at }))!, /^invalid event: created_at /, `${at}`);
  }
  for (const pubkey of [client.pubkey, '', null, client.remote.toUpperCase()]) {
    assert.match(refusal(await sign({ pubkey }))!, /^invalid event: pubkey /, `${pubkey}`);
  }
});

test('what is no event is not signed, and says what is wrong; nothing is recorded or counted', async () => {
  const { client: counted, policy } = await pair(admin, daemon.quickstart, [
    { method: 'sign_event', kind: 'all', use_count: 5 },
  ]);
  const refused: [string, unknown][] = [
    ['kind', -1],
    ['kind', 65_536],
    ['kind', 1.5],
    ['kind', '1'],
    ['kind', null],
    ['kind', undefined],
    ['content', 7],
    ['content', null],
    ['content', undefined],
    ['content', 'half \ud83d of a pair'],
    ['tags', {}],
    ['tags', undefined],
    ['tags', ['t']],
    ['tags', [['t', 1]]],
    ['tags', [['t', null]]],
  ];
  for (const [member, value] of refused) {
    const error = refusal(await counted.call('sign_event', [template({ [member]: value })]))!;
    assert.ok(error.startsWith(`invalid event: ${member} `), `${member} ${JSON.stringify(value)}: ${error}`);
  }
  for (const text of ['', 'x', '[]', '7', 'null', '"{}"']) {
    assert.is(refusal(await counted.call('sign_event', [text])), 'invalid event: not a JSON object');
  }
  assert.is(usesCounted(daemon, policy), 0);
  assert.equal(auditRows(daemon, counted.pubkey, 'sign_event'), []);
  counted.close();
});

test('an unknown method is told to clients, and to strangers nothing', async () => {
  for (const method of ['create_account', 'constructor', '__proto__', 'SIGN_EVENT', 'ping ']) {
    assert.is(refusal(await client.call(method)), `unknown method ${method}`);
  }
  const stranger = await open();
  const before = await dropped(daemon, 'no binding');
  const methods = ['no_such_method', 'ping', 'get_public_key', 'switch_relays', 'get_relays', 'logout', 'disconnect'];
  for (const method of methods) stranger.sendEvent(stranger.request(method, []).event);
  // Nor that a request is malformed.
  for (const params of [{}, [7]]) {
    const body = JSON.stringify({ id: 'malformed', method: 'ping', params });
    stranger.sendEvent(stranger.request('', [], { body }).event);
  }
  await until('all are dropped', async () => (await dropped(daemon, 'no binding')) === before + methods.length + 2);
  assert.is(await client.result('ping'), 'pong');
  assert.equal(stranger.received, []);
  stranger.close();
});

test('a secret is good for one client, which may use it again', async () => {
  const { secret } = await newToken();
  const owner = await open();
  const thief = await open();
  assert.is(await owner.result('connect', ['', secret]), 'ack');
  assert.is(await owner.result('connect', [owner.pubkey, secret, 'sign_event:1']), 'ack');
  assert.is(refusal(await thief.call('connect', [client.remote, secret])), 'token already redeemed');
  assert.is(refusal(await thief.call('connect', [client.remote, 'f'.repeat(64)])), 'token not found');
  assert.is(refusal(await thief.call('connect', [client.remote, secret.toUpperCase()])), 'token not found');
  assert.is(refusal(await thief.call('connect', [client.remote])), 'not authorized');
  assert.is(await owner.result('ping'), 'pong');
  owner.close();
  thief.close();
});

test('a token that expired or was revoked before anybody used it connects nobody', async () => {
  const stranger = await open();
  const expired = await newToken();
  // Another program changes the row in the running daemon's file: the next decision sees it.
  assert.is(change(daemon, 'UPDATE Token SET expiresAt = ? WHERE id = ?', Date.now() - 1000, expired.id), 1);
  assert.is(refusal(await stranger.call('connect', ['', expired.secret])), 'token expired');
  const revoked = await newToken();
  await admin.result('revoke_token', [String(revoked.id)]);
  assert.is(refusal(await stranger.call('connect', ['', revoked.secret])), 'token revoked');
  // An outsider learns nothing of it that the token's holder would not.
  assert.is(refusal(await stranger.call('connect', ['', 'no such secret'])), 'token not found');
  stranger.close();
});

const endings: { what: string; sql: string; id: 'token' | 'policy'; error: string }[] = [
  { what: 'token expires', sql: 'UPDATE Token SET expiresAt = ? WHERE id = ?', id: 'token', error: 'token expired' },
  { what: 'token is revoked', sql: 'UPDATE Token SET deletedAt = ? WHERE id = ?', id: 'token', error: 'token revoked' },
  {
    what: 'policy expires',
    sql: 'UPDATE Policy SET expiresAt = ? WHERE id = ?',
    id: 'policy',
    error: 'policy expired',
  },
  { what: 'policy goes', sql: 'UPDATE Policy SET deletedAt = ? WHERE id = ?', id: 'policy', error: 'policy expired' },
  {
    what: 'rule expires',
    sql: 'UPDATE PolicyRule SET expiresAt = ? WHERE policyId = ?',
    id: 'policy',
    error: 'not authorized',
  },
  {
    what: 'rule is removed',
    sql: 'DELETE FROM PolicyRule WHERE ? > 0 AND policyId = ?',
    id: 'policy',
    error: 'not authorized',
  },
];
for (const { what, sql, id, error } of endings) {
  test(`when its ${what} the very next request is refused: ${error}`, async () => {
    const { client: bound, token, policy } = await pair(admin, daemon.quickstart, SIGN);
    assert.ok(verifyEvent(JSON.parse(await bound.result('sign_event', [template()]))));
    assert.is(change(daemon, sql, Date.now() - 1, id === 'token' ? token.id : policy), 1);
    assert.is(refusal(await bound.call('sign_event', [template()])), error);
    // The binding itself is as it was.
    assert.is(await bound.result('ping'), 'pong');
    assert.is(auditRows(daemon, bound.pubkey, 'sign_event').length, 1);
    bound.close();
  });
}

test('what no rule grants is not authorized', async () => {
  const { client: bound } = await pair(admin, daemon.quickstart, SIGN);
  assert.is(refusal(await bound.call('sign_event', [template({ kind: 2 })])), 'not authorized');
  for (const method of CIPHERS) {
    const response = await bound.call(method, [getPublicKey(generateSecretKey()), 'text']);
    assert.is(refusal(response), 'not authorized');
  }
  bound.close();
});

test('a rule with a count is refused when it is used up', async () => {
  const { client: bound, policy } = await pair(admin, daemon.quickstart, [
    { method: 'sign_event', kind: 1, use_count: 2 },
  ]);
  for (let i = 0; i < 2; i++) await bound.result('sign_event', [template()]);
  assert.is(refusal(await bound.call('sign_event', [template()])), 'usage limit reached');
  assert.is(usesCounted(daemon, policy), 2);
  bound.close();
});

for (const method of ['logout', 'disconnect']) {
  test(`${method} ends the session: everything after it is refused, until a new secret`, async () => {
    const { client: bound, secret } = await pair(admin, daemon.quickstart, SIGN);
    assert.is(await bound.result(method), 'ack');
    for (const [name, params] of [
      ['ping', []],
      ['get_public_key', []],
      ['sign_event', [template()]],
      ['switch_relays', []],
      ['no_such_method', []],
      ['connect', ['', secret]],
      ['connect', []],
      [method, []],
    ] as const) {
      assert.is(refusal(await bound.call(name, [...params])), 'revoked', name);
    }
    // A fresh token brings the client back, with what that one grants and nothing of before.
    const fresh = await pair(admin, daemon.quickstart, [{ method: 'nip44_encrypt' }]);
    fresh.client.close();
    const issued = parseBunkerUrl((await issueToken(admin, 'demo', fresh.policy)).bunker_url);
    assert.is(await bound.result('connect', ['', issued.secret]), 'ack');
    assert.is(await bound.result('ping'), 'pong');
    assert.ok(await bound.result('nip44_encrypt', [getPublicKey(generateSecretKey()), 'text']));
    assert.is(refusal(await bound.call('sign_event', [template()])), 'token revoked');
    bound.close();
  });
}

test('a client that was revoked by hand in the database is told so', async () => {
  const { client: bound } = await pair(admin, daemon.quickstart, SIGN);
  change(daemon, 'UPDATE KeyUser SET revokedAt = ? WHERE userPubkey = ?', Date.now(), bound.pubkey);
  assert.is(refusal(await bound.call('sign_event', [template()])), 'revoked');
  assert.is(refusal(await bound.call('ping')), 'revoked');
  bound.close();
});

test.run();
