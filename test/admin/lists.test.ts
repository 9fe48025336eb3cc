/** Lists in parts, and lists that are too long for an answer (docs/ADMIN.md). */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { makeStage, type Stage } from './stage.ts';

interface List {
  params: unknown[];
  /** Puts this many rows into the records. */
  fill(count: number): void;
  /** What a row loses when there is not enough room. */
  added: string[];
}

let stage: Stage;
test.before.each(async () => {
  stage = await makeStage();
});
test.after.each(() => stage.end());

const LONGEST = 65_535;
const pubkey = (n: number) => n.toString(16).padStart(64, '0');

const lists: { [method: string]: List } = {
  get_keys: {
    params: [],
    fill: (count) => {
      for (let i = 0; i < count; i++) stage.main.unlocked.add(stage.records.addKey(`key ${i}`, pubkey(i)).name);
    },
    added: ['pubkey', 'locked', 'createdAt'],
  },
  get_policies: {
    params: [],
    fill: (count) => {
      const dates = { createdAt: 0, updatedAt: 0, expiresAt: null };
      const limits = { maxUsageCount: 5, currentUsageCount: 0, maxUsagePerToken: null, expiresAt: null };
      for (let i = 1; i <= count; i++) {
        const rules = [{ id: i, method: 'sign_event', kind: '1', ...limits }];
        stage.records.policies.push({ id: i, name: `policy ${i}`, description: null, ...dates, rules });
      }
    },
    added: [],
  },
  get_key_tokens: {
    params: ['k'],
    fill: (count) => {
      stage.records.addKey('k');
      for (let i = 0; i < count; i++) {
        const pairing = { policy: 'p', clientName: 'c', expiresAt: null, createdBy: '', revokeOld: false };
        stage.records.pair('k', pairing);
      }
    },
    added: ['bunker_url', 'revoked_at', 'key_user_id'],
  },
  get_key_users: {
    params: ['k'],
    fill: (count) => {
      stage.records.addKey('k');
      for (let i = 0; i < count; i++) stage.records.addUser('k', pubkey(i));
    },
    added: [],
  },
};

type Row = { [column: string]: unknown };
async function ask(method: string, page?: object, encryption: 'nip44' | 'nip04' = 'nip44') {
  const { params } = lists[method]!;
  const answer = await stage.ask(method, page === undefined ? params : [...params, JSON.stringify(page)], {
    encryption,
  });
  const rows = answer.error === undefined ? (JSON.parse(answer.result) as Row[]) : [];
  return { ...answer, rows };
}

/** The part that an error says to ask for. */
function proposed(error: string | undefined): { offset: number; limit: number } {
  const [, page] = /bytes that NIP-44 clients can decrypt: ask for a part with a last parameter (\{.*\})$/.exec(
    error!,
  )!;
  return JSON.parse(page!);
}

for (const [method, { fill, added }] of Object.entries(lists)) {
  test(`${method}: any part of it, and of the records no more than that is read`, async () => {
    fill(600);
    const { rows: all } = await ask(method, undefined, 'nip04');
    assert.is(all.length, 600);
    assert.ok(stage.records.slices.length >= 3 && stage.records.slices.every(({ limit }) => limit <= 250), 'in steps');
    stage.records.slices = [];
    const { rows } = await ask(method, { offset: 590, limit: 5 });
    assert.equal(rows, all.slice(590, 595));
    assert.equal(stage.records.slices, [{ after: 0, offset: 590, limit: 5 }]);
    assert.equal((await ask(method, { offset: '595', limit: '100' })).rows, all.slice(595), 'numbers may be text');
    assert.equal((await ask(method, { offset: 600 })).rows, []);
    const bad = await ask(method, { offset: -1 });
    assert.is(bad.error, 'Invalid params: page.offset must not be negative');
  });

  test(`${method}: our additions go first, then an error names a part that fits`, async () => {
    const kept = ['id', 'name', 'npub', 'token', 'signingConditions'];
    fill(1);
    const whole = Object.keys((await ask(method)).rows[0]!);
    assert.ok(added.every((column) => whole.includes(column)));
    fill(2500);
    const { result, error } = await ask(method);
    assert.equal(JSON.parse(result), ['error', error]);
    assert.equal(proposed(error), { offset: 0, limit: 100 });
    assert.ok(stage.records.slices.at(-1)!.after < 2000, 'what can be of no use is not read');

    const part = await ask(method, proposed(error));
    assert.is(part.rows.length, 100);
    const [first] = part.rows;
    assert.ok(
      whole.every((column) => column in first! || added.includes(column)),
      'nothing but additions was left out',
    );
    assert.ok(kept.some((column) => column in first!));
    const rest = await ask(method, { offset: 100, limit: 2000 });
    assert.is(proposed(rest.error).offset, 100, 'from where it was asked for');
    assert.ok(Buffer.byteLength(JSON.stringify({ id: 'x'.repeat(13), result: part.result })) <= LONGEST);
  });
}

test('additions are all there as long as they fit, and with details whether they fit or not', async () => {
  lists.get_key_tokens!.fill(60);
  assert.ok((await ask('get_key_tokens')).rows.every((row) => 'bunker_url' in row));
  lists.get_key_tokens!.fill(60);
  assert.not((await ask('get_key_tokens')).rows.some((row) => 'bunker_url' in row));
  const { error } = await ask('get_key_tokens', { details: true });
  const part = await ask('get_key_tokens', { ...proposed(error), details: true });
  assert.is(part.rows.length, proposed(error).limit);
  assert.ok(part.rows.every((row) => 'bunker_url' in row));
});

test('one row that is too long alone is told to be so, and is to be had over NIP-04', async () => {
  stage.records.addKey('k');
  stage.records.addUser('k');
  const user = stage.records.addUser('k');
  const condition = { method: 'sign_event', content: null, keyUserKeyName: null, allowed: true, expiresAt: null };
  user.conditions = Array.from({ length: 600 }, (_, i) => ({ ...condition, id: i, kind: `${i}`, keyUserId: user.id }));
  assert.equal(proposed((await ask('get_key_users')).error), { offset: 0, limit: 1 });
  const { error } = await ask('get_key_users', { offset: 1, limit: 1 });
  assert.match(error!, / and so is its row 1 alone: ask with NIP-04, which has no such bound$/);
  assert.is((await ask('get_key_users', { offset: 1, limit: 1 }, 'nip04')).rows.length, 1);
});

test('a list that was cut short for NIP-44 is told whole to the same request in NIP-04', async () => {
  lists.get_keys!.fill(1000);
  const id = 'same';
  assert.match((await stage.ask('get_keys', [], { id })).error!, /65535 bytes/);
  const { result } = await stage.ask('get_keys', [], { id, encryption: 'nip04' });
  assert.is(JSON.parse(result).length, 1000);
});

test('get_audit: the parts of it, and what goes first', async () => {
  const params = JSON.stringify({
    keyName: 'k',
    client: pubkey(1),
    envelope: pubkey(2),
    body: pubkey(3),
    request: 'r',
  });
  const row = { timestamp: 0, type: 'request', method: 'ping', params, keyUserId: 1, hash: pubkey(4) };
  stage.records.audit = Array.from({ length: 150 }, (_, i) => ({ ...row, id: 150 - i }));
  const lean = JSON.parse((await stage.ask('get_audit')).result) as Row[];
  assert.equal(Object.keys(lean[0]!.params as object), ['keyName', 'client']);
  assert.not('hash' in lean[0]!);
  stage.records.audit = Array.from({ length: 600 }, (_, i) => ({ ...row, id: 600 - i }));
  const { error } = await stage.ask('get_audit', [{}, { offset: 7, limit: 600 }]);
  assert.equal(proposed(error), { offset: 7, limit: 100 });
});

test('a damaged date keeps nobody from reading the rest', async () => {
  lists.get_key_users!.fill(2);
  stage.records.users[0]!.createdAt = 9e15;
  assert.equal(
    (await ask('get_key_users')).rows.map((row) => row.createdAt),
    [null, '2023-11-14T22:13:20.000Z'],
  );
});

test.run();
