/** Each rule of a decision: passes once, is denied once, fails once. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { DecideRequest } from '../../src/policy/protocol.ts';
import { RULES, type RuleName } from '../../src/policy/rules.ts';
import { hex, Rig, said } from './rig.ts';

const client = hex('client');
const peer = hex('peer');
const decrypt = { method: 'nip44_decrypt', kind: null, peer } as const;
const ping = { method: 'ping', kind: null } as const;

interface Case {
  rule: RuleName;
  /** Makes a key `key` and a client of it. */
  given(rig: Rig): Promise<unknown>;
  passes: Partial<DecideRequest>;
  denied: Partial<DecideRequest>;
  refusal: string;
}

const signs = (rig: Rig) => rig.pair(client, { method: 'sign_event', kind: 'all' });
const condition = (
  rig: Rig,
  method: string | null,
  kind: string | null,
  allowed: number | null,
  expiresAt: unknown = null,
) =>
  rig.sql(
    'INSERT INTO "SigningCondition" (method, kind, allowed, keyUserId, expiresAt) VALUES (?, ?, ?, 1, ?)',
    method,
    kind,
    allowed,
    expiresAt,
  );

const CASES: Case[] = [
  {
    rule: 'no-binding',
    given: signs,
    passes: {},
    denied: { client: hex('stranger') },
    refusal: 'no binding',
  },
  {
    rule: 'revoked',
    given: async (rig) => {
      await signs(rig);
      await rig.pair(hex('stolen'), { method: 'sign_event', kind: 'all' });
      rig.sql('UPDATE "KeyUser" SET revokedAt = ? WHERE userPubkey = ?', Date.now(), hex('stolen'));
    },
    passes: {},
    denied: { client: hex('stolen') },
    refusal: 'revoked',
  },
  {
    rule: 'kind-24133-never',
    given: (rig) => rig.pair(client, { method: 'sign_event', kind: 'all' }, { method: 'sign_event', kind: '24133' }),
    passes: { kind: 1 },
    denied: { kind: 24133 },
    refusal: 'not authorized',
  },
  {
    rule: 'decrypt-peer',
    given: async (rig) => {
      await rig.pair(client, { method: 'nip44_decrypt' });
      await rig.pair(hex('other client'), { method: 'sign_event', kind: '1' });
    },
    passes: decrypt,
    denied: { ...decrypt, peer: hex('other client') },
    refusal: 'not authorized',
  },
  {
    rule: 'denied-entirely',
    given: async (rig) => {
      await signs(rig);
      await rig.pair(hex('banned'), { method: 'sign_event', kind: 'all' });
      const [row] = rig.sql<{ id: number }>('SELECT id FROM "KeyUser" WHERE userPubkey = ?', hex('banned'));
      rig.sql('INSERT INTO "SigningCondition" (method, allowed, keyUserId) VALUES (?, 0, ?)', '*', row!.id);
    },
    passes: {},
    denied: { client: hex('banned'), ...ping },
    refusal: 'not authorized',
  },
  {
    rule: 'denied-by-condition',
    given: async (rig) => {
      await signs(rig);
      condition(rig, 'sign_event', '4', 0);
      condition(rig, 'sign_event', '4', 1);
    },
    passes: { kind: 1 },
    denied: { kind: 4 },
    refusal: 'not authorized',
  },
  {
    rule: 'bound-method',
    given: signs,
    passes: ping,
    denied: { ...ping, client: hex('stranger') },
    refusal: 'no binding',
  },
  {
    rule: 'allowed-by-condition',
    given: async (rig) => {
      await rig.pair(client);
      condition(rig, 'sign_event', '7', 1);
    },
    passes: { kind: 7 },
    denied: { kind: 8 },
    refusal: 'not authorized',
  },
  {
    rule: 'granted',
    given: (rig) => rig.pair(client, { method: 'sign_event', kind: '21000' }),
    passes: { kind: 21000 },
    denied: { kind: 1 },
    refusal: 'not authorized',
  },
  {
    rule: 'granted-counted',
    given: (rig) => rig.pair(client, { method: 'sign_event', kind: '1', maxUsageCount: 2 }),
    passes: { kind: 1 },
    denied: { kind: 2 },
    refusal: 'not authorized',
  },
  {
    rule: 'usage-limit',
    given: async (rig) => {
      await rig.pair(
        client,
        { method: 'sign_event', kind: '2', maxUsageCount: 0 },
        { method: 'sign_event', kind: '1' },
      );
    },
    passes: { kind: 1 },
    denied: { kind: 2 },
    refusal: 'usage limit reached',
  },
  {
    rule: 'dead-grant',
    given: async (rig) => {
      await rig.pair(client, { method: 'sign_event', kind: '1' });
      const { id } = await rig.pair(client, { method: 'sign_event', kind: '2' });
      await rig.admin.ask('revokeToken', { id });
    },
    passes: { kind: 1 },
    denied: { kind: 2 },
    refusal: 'token revoked',
  },
  {
    rule: 'nothing-answers',
    given: signs,
    passes: {},
    denied: { method: 'nip04_encrypt', kind: null, peer },
    refusal: 'not authorized',
  },
];

for (const { rule, given, passes, denied, refusal } of CASES) {
  test(`${rule}: passes, is denied, and is not carried out when it cannot be recorded or is late`, async () => {
    const rig = await Rig.open();
    await rig.makeKey();
    await given(rig);
    assert.is(said(await rig.decide(passes)), 'ok');
    assert.is(said(await rig.decide(denied)), refusal);
    const [line] = rig.logs.filter(({ message }) => message === 'denied').slice(-1);
    const own =
      rule === 'bound-method'
        ? 'no-binding'
        : rule.startsWith('granted') || rule.startsWith('allowed')
          ? 'nothing-answers'
          : rule;
    assert.is(line?.fields.rule, own);

    const rows = rig.audit().length;
    assert.is(said(await rig.decide({ ...passes, expires: rig.clock.mono() - 1 })), 'audit log unavailable');
    const lock = rig.other();
    lock.exec('BEGIN IMMEDIATE');
    const needsRow = passes.method !== 'ping';
    const expires = rig.clock.mono() + 60;
    assert.is(said(await rig.decide({ ...passes, expires })), needsRow ? 'audit log unavailable' : 'ok');
    assert.is(said(await rig.decide({ ...denied, expires: rig.clock.mono() + 5000 })), refusal);
    lock.exec('ROLLBACK');
    lock.close();
    assert.is(rig.audit().length, rows);
    await rig.end();
  });
}

test('key-deleted: a deleted key answers nobody', async () => {
  const rig = await Rig.open();
  await rig.makeKey();
  await signs(rig);
  assert.is(said(await rig.decide()), 'ok');
  rig.sql('UPDATE "Key" SET deletedAt = ?', Date.now());
  assert.is(said(await rig.decide()), 'not authorized');
  assert.is(said(await rig.decide(ping)), 'not authorized');
  assert.is(said(await rig.connect('')), 'not authorized');
  assert.is(said(await rig.decide({ expires: 0 })), 'audit log unavailable');
  await rig.end();
});

test('a key without a row answers its clients', async () => {
  const rig = await Rig.open();
  await rig.makeKey();
  await signs(rig);
  rig.sql('DELETE FROM "Key"');
  assert.is(said(await rig.decide()), 'ok');
  await rig.end();
});

test('all does not include the kinds that log in, vanish or administrate; a rule for exactly that kind does', async () => {
  const rig = await Rig.open();
  await rig.makeKey();
  await rig.pair(client, { method: 'sign_event', kind: 'all' }, { method: 'sign_event' });
  condition(rig, 'sign_event', 'all', 1);
  for (const kind of [22242, 27235, 62, 24134])
    assert.is(said(await rig.decide({ kind })), 'not authorized', `${kind}`);
  assert.is(said(await rig.decide({ kind: 63 })), 'ok');
  await rig.pair(client, { method: 'sign_event', kind: '22242' }, { method: 'sign_event', kind: '24134' });
  assert.is(said(await rig.decide({ kind: 22242 })), 'ok');
  assert.is(said(await rig.decide({ kind: 24134 })), 'ok');
  assert.is(said(await rig.decide({ kind: 27235 })), 'not authorized');
  condition(rig, 'sign_event', '27235', 1);
  assert.is(said(await rig.decide({ kind: 27235 })), 'ok');
  await rig.end();
});

test('an adopted installation may include every kind but the transport in all', async () => {
  const rig = await Rig.open({ kindsNotInAll: [] });
  await rig.makeKey();
  await signs(rig);
  for (const kind of [22242, 27235, 62]) assert.is(said(await rig.decide({ kind })), 'ok');
  for (const kind of [24133, 24134]) assert.is(said(await rig.decide({ kind })), 'not authorized');
  await rig.end();
});

test('decrypting is refused for clients that were ever bound, and for admins and the daemon', async () => {
  const reserved = hex('admin key');
  const rig = await Rig.open({ reserved: [reserved] });
  await rig.makeKey();
  await rig.pair(client, { method: 'decrypt' }, { method: 'encrypt' });
  await rig.pair(hex('revoked client'));
  rig.sql('UPDATE "KeyUser" SET revokedAt = 1 WHERE userPubkey = ?', hex('revoked client'));
  for (const method of ['nip44_decrypt', 'nip04_decrypt'] as const) {
    for (const from of [reserved, reserved.toUpperCase(), hex('revoked client')]) {
      assert.is(said(await rig.decide({ method, kind: null, peer: from })), 'not authorized');
    }
    assert.is(said(await rig.decide({ method, kind: null, peer: null })), 'not authorized');
    assert.is(said(await rig.decide({ method, kind: null, peer: client })), 'ok');
    assert.is(said(await rig.decide({ method, kind: null, peer })), 'ok');
  }
  assert.is(said(await rig.decide({ method: 'nip44_encrypt', kind: null, peer: reserved })), 'ok');
  await rig.end();
});

test("encrypt and decrypt stand for both ciphers' methods, and not for each other", async () => {
  const rig = await Rig.open();
  await rig.makeKey();
  await rig.pair(client, { method: 'encrypt' });
  assert.is(said(await rig.decide({ method: 'nip04_encrypt', kind: null, peer })), 'ok');
  assert.is(said(await rig.decide({ method: 'nip44_encrypt', kind: null, peer })), 'ok');
  assert.is(said(await rig.decide({ method: 'nip04_decrypt', kind: null, peer })), 'not authorized');
  condition(rig, 'decrypt', null, 1);
  assert.is(said(await rig.decide({ method: 'nip44_decrypt', kind: null, peer })), 'ok');
  await rig.end();
});

test("nsecbunkerd's peculiar conditions keep their meaning", async () => {
  const rig = await Rig.open();
  await rig.makeKey();
  await rig.pair(client);
  condition(rig, '*', null, 1);
  condition(rig, null, null, 1);
  condition(rig, 'sign_event', null, 1);
  condition(rig, 'nip44_encrypt', null, null);
  assert.is(said(await rig.decide()), 'not authorized');
  assert.is(said(await rig.decide({ method: 'nip44_encrypt', kind: null, peer })), 'not authorized');
  condition(rig, null, null, 0);
  assert.is(said(await rig.decide(ping)), 'not authorized');
  await rig.end();
});

test('a condition ends when it expires, whichever way its date was written', async () => {
  const rig = await Rig.open();
  await rig.makeKey();
  await rig.pair(client);
  condition(rig, 'sign_event', '1', 1, '2020-01-01 00:00:00');
  condition(rig, 'sign_event', '2', 1, '2199-01-01T00:00:00.000Z');
  condition(rig, 'sign_event', '3', 1, 'whenever');
  condition(rig, '*', null, 0, Date.now() - 1);
  assert.is(said(await rig.decide({ kind: 1 })), 'not authorized');
  assert.is(said(await rig.decide({ kind: 2 })), 'ok');
  assert.is(said(await rig.decide({ kind: 3 })), 'not authorized');
  await rig.end();
});

test('every rule has its place in docs/POLICY.md', () => {
  const text = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'POLICY.md'), 'utf8');
  for (const rule of RULES) assert.ok(text.includes(`\`${rule}\``), rule);
});

test.run();
