import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { chainHash, GENESIS } from '../../src/policy/chain.ts';
import { verifyChain } from '../../src/policy/verify.ts';
import { legacy } from '../store/folder.ts';
import { hex, movableClock, Rig, said } from './rig.ts';

const client = hex('client');
const DAY = 86_400_000;

/** A log of ten rows. */
async function tenRows(): Promise<Rig> {
  const rig = await Rig.open();
  await rig.makeKey();
  await rig.pair(client, { method: 'sign_event' });
  for (let i = 0; i < 9; i++) assert.is(said(await rig.decide({ requestId: `${i}` })), 'ok');
  return rig;
}

test('the hash is over length-prefixed fields', () => {
  const row = { seq: 1, time: 5, type: 'request', method: null, params: 'é' };
  assert.is(chainHash(GENESIS, row), hex(`64:${GENESIS};1:1;1:5;7:request;-;2:é;`));
  // Moving a character over a field's border is another row.
  const a = chainHash(GENESIS, { ...row, type: 'ab', method: 'c' });
  const b = chainHash(GENESIS, { ...row, type: 'a', method: 'bc' });
  assert.is.not(a, b);
  assert.is.not(chainHash(GENESIS, { ...row, method: '' }), chainHash(GENESIS, row));
});

test('an untouched log verifies beside the daemon that writes it, and over a restart', async () => {
  const rig = await tenRows();
  const report = verifyChain(rig.path);
  assert.ok(report.ok);
  assert.equal([report.rows, report.unchained, report.head?.seq, report.wrong], [10, 0, 10, null]);
  await rig.stop();
  await rig.start();
  await rig.decide();
  assert.is(verifyChain(rig.path).rows, 11);
  assert.ok(verifyChain(rig.path).ok);
  await rig.end();
});

const TAMPERINGS: [name: string, sql: string[], seq: number, line: RegExp][] = [
  [
    'an edited row',
    [`UPDATE "Log" SET params = replace(params, '"kind":1', '"kind":7') WHERE id = 4`],
    4,
    /row 4 was changed/,
  ],
  ['a moved time', [`UPDATE "Log" SET timestamp = timestamp + 1 WHERE id = 10`], 10, /row 10 was changed/],
  ['a removed row', [`DELETE FROM "Log" WHERE id = 6`], 6, /row 6 is missing before row 7/],
  ['removed rows', [`DELETE FROM "Log" WHERE id BETWEEN 3 AND 5`], 3, /rows 3 to 5 are missing before row 6/],
  ['rows removed at the end', [`DELETE FROM "Log" WHERE id > 8`], 9, /rows 9 to 10 are missing at the end/],
  ['the first row removed', [`DELETE FROM "Log" WHERE id = 1`], 1, /row 1 is missing/],
  [
    'two rows exchanged',
    [
      `UPDATE "Log" SET id = -1 WHERE id = 3`,
      `UPDATE "Log" SET id = 3 WHERE id = 5`,
      `UPDATE "Log" SET id = 5 WHERE id = -1`,
    ],
    3,
    /row 3 was changed/,
  ],
  [
    'a hash taken away',
    [`UPDATE "Log" SET hash = NULL WHERE id = 5`],
    6,
    /row 6 was changed.*row 5 before it has no hash/,
  ],
  [
    'a row put in between',
    [
      `INSERT INTO "Log" (id, timestamp, type, params, hash) SELECT 11, timestamp, type, params, hash FROM "Log" WHERE id = 10`,
    ],
    11,
    /row 11 was changed/,
  ],
];
for (const [name, statements, seq, line] of TAMPERINGS) {
  test(`${name} is pointed at`, async () => {
    const rig = await tenRows();
    await rig.stop();
    for (const sql of statements) rig.sql(sql);
    const report = verifyChain(rig.path);
    assert.not.ok(report.ok);
    assert.is(report.wrong?.seq, seq);
    assert.match(report.wrong?.line ?? '', line);
    rmSync(rig.folder, { recursive: true });
  });
}

test('a row changed under the running daemon is not covered up by the rows after it', async () => {
  const rig = await tenRows();
  rig.sql(`UPDATE "Log" SET params = '{}', hash = ? WHERE id = 10`, hex('forged'));
  await rig.decide();
  assert.is(verifyChain(rig.path).wrong?.seq, 10);
  await rig.end();
});

test('a chain computed anew shows against a head that was kept outside, and only there', async () => {
  const rig = await tenRows();
  const kept = verifyChain(rig.path).head;
  await rig.stop();
  const db = rig.other();
  db.exec(`UPDATE "Log" SET params = replace(params, '"kind":1', '"kind":7') WHERE id = 4`);
  let previous = GENESIS;
  const set = db.prepare('UPDATE "Log" SET hash = ? WHERE id = ?');
  for (const row of db.prepare('SELECT * FROM "Log" ORDER BY id').all() as { [column: string]: never }[]) {
    previous = chainHash(previous, { ...row, seq: row.id, time: row.timestamp } as never);
    set.run(previous, row.id);
  }
  db.close();
  assert.ok(verifyChain(rig.path).ok);
  const against = verifyChain(rig.path, kept);
  assert.not.ok(against.ok);
  assert.match(against.wrong?.line ?? '', /row 10 is not the one that the kept head names/);
  rmSync(rig.folder, { recursive: true });
});

test('a kept head names a row that is missing, or older than the cut', async () => {
  const rig = await tenRows();
  const kept = verifyChain(rig.path).head!;
  assert.ok(verifyChain(rig.path, kept).ok);
  assert.match(verifyChain(rig.path, { ...kept, seq: 99 }).wrong?.line ?? '', /row 99.*missing/);
  await rig.end();
});

test('rows stripped of their hash at the end are counted apart, and are broken against a kept head', async () => {
  const rig = await tenRows();
  const kept = verifyChain(rig.path).head!;
  await rig.stop();
  for (const [from, rows] of [
    [8, 7],
    [1, 0],
  ] as const) {
    rig.sql(`UPDATE "Log" SET hash = NULL, params = '{"forged":1}' WHERE id >= ?`, from);
    const report = verifyChain(rig.path);
    assert.equal([report.ok, report.rows, report.bare], [true, rows, 10 - rows]);
    const against = verifyChain(rig.path, kept);
    assert.equal([against.ok, against.wrong?.line], [false, 'row 10, which the kept head names, has no hash']);
  }
  rmSync(rig.folder, { recursive: true });
});

test('deleting a KeyUser does not break the chain', async () => {
  const rig = await tenRows();
  rig.sql('UPDATE "Log" SET keyUserId = NULL');
  assert.ok(verifyChain(rig.path).ok);
  await rig.end();
});

test("rows of nsecbunkerd's time are counted and skipped, before the chain and inside it", async () => {
  const folder = mkdtempSync(join(tmpdir(), 'redoubt-chain-'));
  const path = legacy('legacy-0.10.5');
  const db = new Database(path);
  const insert = `INSERT INTO "Log" (timestamp, type, method) VALUES (1700000000000, 'request', 'sign_event')`;
  db.exec(insert);
  db.exec(insert);
  db.close();
  assert.equal([verifyChain(path).ok, verifyChain(path).unchained], [true, 2]);
  const rig = new Rig(undefined, folder);
  assert.ok((await rig.start({ databasePath: path })).ok);
  const ask = () => rig.admin.ask('end', { admin: 'a', event: 'e', method: 'm', target: 't', outcome: 'ok' });
  await ask();
  const between = new Database(path);
  between.exec(insert);
  between.close();
  await ask();
  const report = verifyChain(path);
  assert.equal([report.ok, report.rows, report.unchained, report.bare], [true, 2, 3, 1]);
  await rig.end();
});

test('pruning removes what is old, keeps the hash at the cut, and tells the head', async () => {
  const clock = movableClock();
  const rig = await Rig.open({ auditRetentionDays: 10 }, clock);
  await rig.makeKey();
  await rig.pair(client, { method: 'sign_event' });
  for (let i = 0; i < 1200; i++) void rig.decide();
  await rig.decide();
  await rig.stop();
  const old = verifyChain(rig.path).head!;
  clock.advance(9 * DAY);
  await rig.start({ auditRetentionDays: 10 });
  await rig.decide();
  const heads = rig.heads.length;
  clock.advance(2 * DAY);
  // The first pruning comes a second after the start.
  for (let i = 0; i < 50 && verifyChain(rig.path).rows !== 1; i++)
    await new Promise((resolve) => setTimeout(resolve, 50));
  const report = verifyChain(rig.path);
  assert.equal([report.ok, report.rows], [true, 1]);
  assert.equal(report.cut, old);
  assert.ok(verifyChain(rig.path, old).ok);
  assert.match(verifyChain(rig.path, { seq: 5, hash: old.hash }).wrong?.line ?? '', /older than the cut/);
  await rig.decide();
  await rig.stop();
  assert.ok(rig.heads.length > heads);
  assert.is(rig.heads.at(-1)?.cut, old.seq);
  assert.equal(verifyChain(rig.path).head, { seq: rig.heads.at(-1)!.seq, hash: rig.heads.at(-1)!.hash });
  await rig.start({ auditRetentionDays: 10 });
  assert.ok(verifyChain(rig.path).ok);
  await rig.end();
});

test('a clock that jumped ahead empties no audit log', async () => {
  const clock = movableClock();
  const rig = await Rig.open({ auditRetentionDays: 1 }, clock);
  await rig.makeKey();
  await rig.pair(client, { method: 'sign_event' });
  clock.wall += 400 * DAY;
  await new Promise((resolve) => setTimeout(resolve, 1100));
  assert.is(verifyChain(rig.path).rows, 1);
  assert.ok(rig.logs.some(({ message }) => /clock was moved/.test(message)));
  await rig.end();
});

test('the head is told at close when it has changed', async () => {
  const rig = await tenRows();
  await rig.stop();
  assert.is(rig.heads.length, 1);
  assert.equal([rig.heads[0]?.seq, rig.heads[0]?.cut], [10, 0]);
  await rig.start();
  await rig.stop();
  assert.is(rig.heads.length, 1);
  rmSync(rig.folder, { recursive: true });
});

test.run();
