import { appendFileSync, copyFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { generateSecretKey } from 'nostr-tools';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { asSecret } from '../../src/actor/protocol.ts';
import { Heads } from '../../src/admin/heads.ts';
import { loadCurve } from '../../src/curve/load.ts';
import { hex, Rig } from '../policy/rig.ts';
import { runMain } from './run.ts';

const curve = await loadCurve();
const daemonKey = generateSecretKey();
let rig: Rig;
let heads: string;

/** An installation whose log has some rows, and a signed head of them. */
test.before(async () => {
  rig = await Rig.open();
  await rig.makeKey();
  await rig.pair(hex('client'), { method: 'sign_event' });
  for (let i = 0; i < 4; i++) await rig.decide({ requestId: `${i}` });
  await rig.stop();
  const config = { admin: { key: Buffer.from(daemonKey).toString('hex') } };
  writeFileSync(join(rig.folder, 'nsecbunker.json'), JSON.stringify(config), { mode: 0o600 });
  heads = join(rig.folder, 'audit-heads.jsonl');
  await sign(daemonKey, heads);
});
test.after(() => rmSync(rig.folder, { recursive: true }));

function sign(key: Uint8Array, path: string): Promise<string> {
  return new Heads(curve.openKey(asSecret(key)), path).append(rig.heads.at(-1)!);
}

const verify = (...args: string[]) => runMain(['audit', 'verify', '--data', rig.folder, ...args]);

test('an intact log, beside a head that was kept', async () => {
  const { code, out, err } = await verify('--json');
  assert.equal([code, err], [0, '']);
  const report = JSON.parse(out);
  const { seq, hash } = rig.heads.at(-1)!;
  assert.ok(seq >= 5);
  assert.equal([report.ok, report.rows, report.head, report.wrong], [true, seq, { seq, hash }, null]);
  const kept = await verify('--head', heads);
  assert.equal(
    [kept.code, kept.out],
    [0, `audit log intact: ${seq} rows, its head is row ${seq}, ${hash}; it agrees with the kept head\n`],
  );
});

test('the configuration can be named instead of the folder', async () => {
  const { code } = await runMain(['audit', 'verify', '--config', join(rig.folder, 'nsecbunker.json')]);
  assert.is(code, 0);
});

test('heads that prove nothing are refused', async () => {
  const other = join(rig.folder, 'other.jsonl');
  await sign(generateSecretKey(), other);
  assert.match((await verify('--head', other)).err, /was not signed by this daemon/);
  const line = JSON.parse(readFileSync(heads, 'utf8'));
  writeFileSync(other, JSON.stringify({ ...line, seq: line.seq - 1 }));
  assert.match((await verify('--head', other)).err, /was not signed by this daemon/);
  appendFileSync(other, '\n{"seq":');
  assert.match((await verify('--head', other)).err, /the last line of .* is no signed head/);
  const missing = await verify('--head', join(rig.folder, 'none'));
  assert.equal([missing.code, missing.out], [1, '']);
  assert.match(missing.err, /cannot be read \(ENOENT\)/);
});

test('an edited row is pointed at, and a log that was cut short or stripped of hashes disagrees with the head', async () => {
  const copy = join(rig.folder, 'copy.db');
  copyFileSync(rig.path, copy);
  const env = process.env.DATABASE_URL;
  process.env.DATABASE_URL = `file:${copy}`;
  try {
    const db = new Database(copy);
    db.exec(`UPDATE "Log" SET timestamp = timestamp + 1 WHERE id = 3`);
    db.close();
    const { code, out } = await verify();
    assert.is(code, 1);
    assert.match(out, /^audit log BROKEN at row 3: row 3 was changed/);
    const report = JSON.parse((await verify('--json')).out);
    assert.equal([report.ok, report.wrong.seq], [false, 3]);

    copyFileSync(rig.path, copy);
    const cut = new Database(copy);
    cut.exec(`DELETE FROM "Log" WHERE id > 2; UPDATE sqlite_sequence SET seq = 2 WHERE name = 'Log'`);
    cut.close();
    assert.is((await verify()).code, 0, 'the chain alone does not show it');
    const kept = await verify('--head', heads);
    assert.is(kept.code, 1);
    assert.match(kept.out, /which the kept head names, is missing/);

    copyFileSync(rig.path, copy);
    const stripped = new Database(copy);
    stripped.exec('UPDATE "Log" SET hash = NULL WHERE id > 2');
    const { code: still, out: said } = await verify();
    assert.is(still, 0);
    assert.match(
      said,
      /^audit log intact as far as it has hashes: 2 rows, its head is row 2, \w+; \d+ rows after the chain's/,
    );
    assert.match(said, /have no hash \(written by another program, or stripped of their hash\)\n$/);
    assert.is((await verify('--head', heads)).code, 1);
    stripped.exec('UPDATE "Log" SET hash = NULL');
    assert.match((await verify()).out, /0 rows, no row has a hash; \d+ rows after the chain's beginning/);
    stripped.exec(`UPDATE redoubt_meta SET value = '99' WHERE name = 'cutSeq'`);
    stripped.close();
    assert.match((await verify()).out, /^audit log intact: 0 .* have no hash \(they are older than the chain\)\n$/);
  } finally {
    if (env === undefined) delete process.env.DATABASE_URL;
    else process.env.DATABASE_URL = env;
  }
});

test('export: every row as a line, the oldest first, or one document; only what is asked for', async () => {
  const exported = (...args: string[]) => runMain(['audit', 'export', '--data', rig.folder, ...args]);
  const { code, out, err } = await exported();
  assert.equal([code, err], [0, '']);
  const stored = rig.audit();
  const lines = out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.equal(
    lines.map(({ id, type, method, params, keyUserId }) => ({ id, type, method, params, keyUserId })),
    stored,
  );
  assert.equal(Object.keys(lines[0]), ['id', 'timestamp', 'type', 'method', 'keyUserId', 'params', 'hash']);
  assert.is(new Date(lines[0].timestamp).toISOString(), lines[0].timestamp);
  assert.equal(JSON.parse((await exported('--json')).out), lines);
  assert.is((await exported('--client', hex('client'))).out, out);
  assert.equal(JSON.parse((await exported('--json', '--client', hex('nobody'))).out), []);
  assert.is((await exported('--key', 'nokey')).out, '');
  assert.is((await exported('--since', '1h')).out, out);
  assert.is((await exported('--since', new Date().toISOString())).out, '');
  assert.is((await exported('--since', '2999-01-01')).code, 2);
  assert.is((await exported('--client', 'x')).code, 2);
});

test("an export of rows that nsecbunkerd wrote, and of a file that was never Redoubt's", async () => {
  const old = join(rig.folder, 'old.db');
  const db = new Database(old);
  db.exec(`CREATE TABLE "Log" (id INTEGER PRIMARY KEY, timestamp DATETIME, type TEXT, method TEXT, params TEXT, keyUserId INTEGER);
    INSERT INTO "Log" VALUES (1, '2023-11-14 22:13:20', 'sign', NULL, 'no JSON', NULL), (2, 9e15, 'x', NULL, NULL, 3)`);
  db.close();
  process.env.DATABASE_URL = old;
  const { out } = await runMain(['audit', 'export', '--data', rig.folder, '--json']);
  delete process.env.DATABASE_URL;
  assert.equal(JSON.parse(out), [
    {
      id: 1,
      timestamp: '2023-11-14T22:13:20.000Z',
      type: 'sign',
      method: null,
      keyUserId: null,
      params: 'no JSON',
      hash: null,
    },
    { id: 2, timestamp: null, type: 'x', method: null, keyUserId: 3, params: null, hash: null },
  ]);
});

test('what is no database, and none at all', async () => {
  writeFileSync(join(rig.folder, 'text.db'), 'this is not a database, and long enough to tell'.repeat(50));
  for (const [name, message] of [
    ['text.db', /cannot be read \(SQLITE_NOTADB\)/],
    ['none.db', /there is no database at/],
  ] as const) {
    process.env.DATABASE_URL = join(rig.folder, name);
    for (const command of ['verify', 'export']) {
      const { code, out, err } = await runMain(['audit', command, '--data', rig.folder]);
      assert.equal([code, out], [1, '']);
      assert.match(err, message);
    }
    delete process.env.DATABASE_URL;
  }
});

test.run();
