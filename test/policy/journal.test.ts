import { readFileSync, renameSync, rmSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { systemClock } from '../../src/actor/clock.ts';
import { answerRequest } from '../../src/policy/answer.ts';
import { PolicyEngine } from '../../src/policy/engine.ts';
import type { Decision } from '../../src/policy/protocol.ts';
import { verifyChain } from '../../src/policy/verify.ts';
import { hex, Rig, said } from './rig.ts';

const client = hex('client');
const ping = { method: 'ping', kind: null } as const;
const soon = (rig: Rig, ms: number) => rig.clock.mono() + ms;

async function rigged(): Promise<Rig> {
  const rig = await Rig.open();
  await rig.makeKey();
  await rig.pair(client, { method: 'sign_event', maxUsageCount: 1000 });
  return rig;
}

/** Until `done`, or 5 s have passed, which is what recovery is promised within. */
async function within5s(done: () => Promise<boolean>): Promise<boolean> {
  const end = performance.now() + 5000;
  while (performance.now() < end) {
    if (await done()) return true;
    await pause(50);
  }
  return false;
}

test('an answer of yes means that row and counter are in the file', async () => {
  const rig = await rigged();
  const other = rig.other();
  const rows = other.prepare('SELECT count(*) FROM "Log"').pluck();
  const used = other.prepare('SELECT currentUsageCount FROM "PolicyRule"').pluck();
  for (let i = 1; i <= 20; i++) {
    assert.is(said(await rig.decide()), 'ok');
    assert.is(rows.get(), i + 1);
    assert.is(used.get(), i);
  }
  other.close();
  await rig.end();
});

/** Transactions in the write-ahead log: frames that say how large the file is after a commit (SQLite file format, 4.1). */
function commits(path: string): number {
  const wal = readFileSync(`${path}-wal`);
  const frame = 24 + wal.readUInt32BE(8);
  let found = 0;
  for (let at = 32; at + frame <= wal.length; at += frame) if (wal.readUInt32BE(at + 4) !== 0) found++;
  return found;
}

test('what arrives together, over many ports, is one transaction', async () => {
  const rig = await rigged();
  const ports = [1, 2, 3, 4].map(() => rig.key('key', true));
  await Promise.all(ports.map((port) => port.ask('decide', rig.asked(ping))));
  const before = commits(rig.path);
  const answers = await Promise.all(
    Array.from({ length: 200 }, (_, i) => ports[i % ports.length]!.ask('decide', rig.asked())),
  );
  assert.ok(answers.every(({ ok }) => ok));
  assert.is(commits(rig.path) - before, 1);
  for (let i = 0; i < 3; i++) await rig.decide();
  assert.is(commits(rig.path) - before, 4);
  await rig.end();
});

test('denials and methods that need no rule write no row', async () => {
  const rig = await rigged();
  const rows = rig.audit().length;
  for (const method of ['ping', 'get_public_key', 'switch_relays', 'get_relays'] as const) {
    assert.equal(await rig.decide({ method, kind: null }), { ok: true, grant: 'binding' });
  }
  await rig.decide({ kind: 24133 });
  await rig.decide({ client: hex('stranger') });
  assert.is(rig.audit().length, rows);
  await rig.end();
});

test('the row tells who, what, when and by which grant, and the last use of the client', async () => {
  const rig = await rigged();
  const request = rig.asked({ requestId: 'req "7"', kind: 30078 });
  const started = Date.now();
  await rig.key('key').ask('decide', request);
  const row = rig.audit().at(-1);
  assert.equal(row?.params, {
    keyName: 'key',
    key: hex('pubkey of key'),
    client,
    kind: 30078,
    event: request.eventId,
    grant: 'rule:1',
    request: 'req "7"',
    envelope: request.envelope,
    body: request.body,
    retry: false,
  });
  assert.equal([row?.type, row?.method, row?.keyUserId], ['request', 'sign_event', 1]);
  const [stored] = rig.sql<{ t: number; kind: string; last: number }>(
    `SELECT timestamp AS t, typeof(timestamp) AS kind, (SELECT lastUsedAt FROM "KeyUser") AS last FROM "Log" ORDER BY id DESC`,
  );
  assert.is(stored?.kind, 'integer');
  assert.ok(stored!.t >= started && stored!.t <= Date.now());
  assert.ok(stored!.last >= started);
  await rig.end();
});

test('a locked file: waits, refuses by the deadline, serves pings, and goes on when it is free', async () => {
  const rig = await rigged();
  const rows = rig.audit().length;
  const lock = rig.other();
  lock.exec('BEGIN IMMEDIATE');
  const patient = rig.decide();
  const hasty = rig.decide({ expires: soon(rig, 120) });
  assert.is(said(await rig.decide(ping)), 'ok');
  assert.is(said(await hasty), 'audit log unavailable');
  assert.is(rig.audit().length, rows);
  lock.exec('ROLLBACK');
  assert.is(said(await patient), 'ok');
  assert.is(rig.audit().length, rows + 1);
  lock.close();
  await rig.end();
});

test('a file that stays locked is refused after two seconds, turns health red, and recovers by itself', async () => {
  const rig = await rigged();
  const lock = rig.other();
  lock.exec('BEGIN IMMEDIATE');
  const changing = rig.admin.ask('createKey', { name: 'late', pubkey: hex('late') });
  const answers = await Promise.all([rig.decide(), rig.decide(), rig.decide(ping)]);
  assert.equal(answers.map(said), ['audit log unavailable', 'audit log unavailable', 'ok']);
  const red = await rig.admin.ask('status', null);
  assert.equal([red.writable, red.failure], [false, 'another program holds the lock of the database']);
  const change = await changing;
  assert.match(change.ok ? '' : change.refusal, /nothing was changed.*lock/);
  lock.exec('ROLLBACK');
  lock.close();
  // Nobody asks for anything meanwhile.
  assert.ok(await within5s(async () => (await rig.admin.ask('status', null)).writable));
  assert.is(said(await rig.decide()), 'ok');
  assert.ok(rig.logs.some(({ level, message }) => level === 'error' && /cannot be written/.test(message)));
  assert.ok(rig.logs.some(({ message }) => /can be written again/.test(message)));
  await rig.end();
});

test('a file that was deleted or moved under the daemon is not written to', async () => {
  const rig = await rigged();
  renameSync(rig.path, `${rig.path}.moved`);
  assert.is(said(await rig.decide()), 'audit log unavailable');
  assert.is(said(await rig.decide(ping)), 'ok');
  const health = await rig.main.ask('health', null);
  assert.equal([health.writable, health.failure], [false, 'the file was moved or deleted']);
  renameSync(`${rig.path}.moved`, rig.path);
  assert.is(said(await rig.decide()), 'ok');
  assert.ok((await rig.main.ask('health', null)).writable);
  await rig.end();
});

/** The engine without its ports, for faults that only its own connection can be given. */
async function engineOn(rig: Rig): Promise<{ engine: PolicyEngine; ask: (rig: Rig) => Promise<Decision> }> {
  await rig.main.ask('close', null);
  const opened = await PolicyEngine.open(
    {
      databasePath: rig.path,
      maxClockSkew: 600,
      auditRetentionDays: 90,
      kindsNotInAll: [],
      askForStrangers: null,
      reserved: [],
      keysInKeystore: 1,
      allowEmptyDatabase: false,
    },
    {
      clock: systemClock,
      random: (n) => new Uint8Array(n),
      log: () => {},
      bound: () => {},
      forgetClients: () => {},
      clientRelaysChanged: () => {},
      head: () => {},
    },
  );
  if (!opened.ok) throw new Error(opened.refusal);
  const { engine } = opened;
  const ask = (from: Rig) => {
    const request = from.asked();
    const work = () => answerRequest(engine.desk, 'key', request);
    return engine.commits.submit<Decision>({
      work,
      unavailable: { ok: false, refusal: 'audit log unavailable' },
      expires: request.expires,
    });
  };
  return { engine, ask };
}

for (const [name, breakIt, mendIt, reason] of [
  ['full', 'max_page_count = 1', 'max_page_count = 1073741823', 'the disk is full'],
  ['read-only', 'query_only = ON', 'query_only = OFF', 'the file or its folder is read-only'],
] as const) {
  test(`${name}: refused at once, health red, nothing counted, and service resumes by itself`, async () => {
    const rig = await rigged();
    const { engine, ask } = await engineOn(rig);
    assert.is(said(await ask(rig)), 'ok');
    engine.store.db.pragma(breakIt);
    let answered = 0;
    // A full file may still have room in its last pages.
    for (let i = 0; i < 40; i++) if ((await ask(rig)).ok) answered++;
    assert.ok(answered < 20);
    assert.is(said(await ask(rig)), 'audit log unavailable');
    const health = await engine.health();
    assert.equal([health.writable, health.failure], [false, reason]);
    assert.is(engine.status().auditRows, 2 + answered);
    assert.equal(rig.sql('SELECT currentUsageCount AS n FROM "PolicyRule"'), [{ n: 1 + answered }]);
    engine.store.db.pragma(mendIt);
    assert.ok(await within5s(async () => engine.status().writable));
    assert.is(said(await ask(rig)), 'ok');
    assert.equal(rig.sql('SELECT currentUsageCount AS n FROM "PolicyRule"'), [{ n: 2 + answered }]);
    await engine.close();
    assert.ok(verifyChain(rig.path).ok);
    rig.abandon();
    rmSync(rig.folder, { recursive: true });
  });
}

test('health is a write that leaves nothing behind', async () => {
  const rig = await rigged();
  const pages = () => rig.sql<{ n: number }>('SELECT page_count AS n FROM pragma_page_count')[0]!.n;
  const before = rig.other();
  const version = before.pragma('data_version', { simple: true });
  const first = await rig.main.ask('health', null);
  assert.is.not(before.pragma('data_version', { simple: true }), version);
  before.close();
  assert.equal([first.writable, first.failure, first.auditRows], [true, null, 1]);
  const size = pages();
  for (let i = 0; i < 20; i++) await rig.main.ask('health', null);
  assert.is(pages(), size);
  assert.equal(rig.sql('SELECT count(*) AS n FROM redoubt_probe'), [{ n: 0 }]);
  assert.is(rig.audit().length, 1);
  await rig.end();
});

test("another program's change is seen at the next decision; the main thread is told of new clients", async () => {
  const rig = await rigged();
  assert.is(said(await rig.decide()), 'ok');
  assert.is(rig.forgotten, 0);
  rig.sql('UPDATE "KeyUser" SET revokedAt = ?', '2024-01-01 00:00:00');
  assert.is(said(await rig.decide()), 'revoked');
  const told = rig.forgotten;
  rig.sql('UPDATE "KeyUser" SET revokedAt = NULL');
  assert.is(said(await rig.decide()), 'ok');
  assert.is(rig.forgotten, told);
  rig.sql(`INSERT INTO "KeyUser" (keyName, userPubkey) VALUES ('key', ?)`, hex('by hand'));
  assert.is(said(await rig.decide({ ...ping, client: hex('by hand') })), 'ok');
  assert.is(rig.forgotten, told + 1);
  assert.equal((await rig.main.ask('clients', { keyName: 'key' }))!.sort(), [client, hex('by hand')].sort());
  await rig.end();
});

test('a change between decision and commit is seen too', async () => {
  const rig = await rigged();
  const { engine, ask } = await engineOn(rig);
  const { desk } = engine;
  assert.is(said(await ask(rig)), 'ok');
  let changed = false;
  const begin = desk.journal.begin.bind(desk.journal);
  // Decided already, the lock not taken yet.
  desk.journal.begin = () => {
    if (!changed) {
      changed = true;
      rig.sql('UPDATE "KeyUser" SET revokedAt = 1');
    }
    begin();
  };
  assert.is(said(await ask(rig)), 'revoked');
  await engine.close();
  assert.is(rig.audit().length, 2);
  rig.abandon();
  rmSync(rig.folder, { recursive: true });
});

test("an admin's transaction and the journal do not mix", async () => {
  const rig = await rigged();
  const rules = [{ method: 'sign_event', kind: '1', maxUsageCount: null, maxUsagePerToken: null, expiresAt: null }];
  const changes = Array.from({ length: 20 }, (_, i) =>
    rig.admin.ask('createPolicy', { name: `p${i}`, description: null, expiresAt: null, rules }),
  );
  const requests: Promise<Decision>[] = [];
  for (let i = 0; i < 100; i++) {
    requests.push(rig.decide());
    if (i % 5 === 0) await pause(1);
  }
  assert.ok((await Promise.all(requests)).every(({ ok }) => ok));
  assert.ok((await Promise.all(changes)).every(({ ok }) => ok));
  // Refused half way, it takes nothing of the journal's with it.
  const refused = rig.admin.ask('createKey', { name: 'key', pubkey: hex('x') });
  const beside = await Promise.all([rig.decide(), rig.decide()]);
  assert.not.ok((await refused).ok);
  assert.ok(beside.every(({ ok }) => ok));
  assert.is(rig.audit().length, 103);
  assert.ok(verifyChain(rig.path).ok);
  await rig.end();
});

test('late work is not done, and not counted', async () => {
  const rig = await rigged();
  assert.is(said(await rig.decide({ expires: rig.clock.mono() })), 'audit log unavailable');
  assert.equal(rig.sql('SELECT currentUsageCount AS n FROM "PolicyRule"'), [{ n: 0 }]);
  assert.is(rig.audit().length, 1);
  await rig.end();
});

test('before the database is open nothing is allowed', async () => {
  const rig = new Rig();
  await rig.start({ databasePath: '/nonexistent/folder/nsecbunker.db' });
  assert.is(said(await rig.decide()), 'audit log unavailable');
  await rig.end();
});

test.run();
