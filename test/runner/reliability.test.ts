/** What stands in docs/RELIABILITY.md follows from how files ended and what they printed, and from nothing else. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { declaredBy } from '../reliability/declared.ts';
import { documentOf } from '../reliability/document.ts';
import { type Ledger, readLedger, recordFile } from '../reliability/ledger.ts';
import { PROMISES, type Promised } from '../reliability/promises.ts';
import { screenTable } from '../reliability/report.ts';
import { standings, verdict } from '../reliability/standing.ts';
import { type Figures, readFigures } from './figures.ts';
import type { FileResult } from './file.ts';

const folder = mkdtempSync(join(tmpdir(), 'redoubt-ledger-'));
const ledger = join(folder, 'results.json');
test.before.each(() => rmSync(ledger, { force: true }));
test.after(() => rmSync(folder, { recursive: true }));

function ended(how: { failed?: number; figures?: Figures[] }): FileResult {
  const { failed = 0, figures = [] } = how;
  return { passed: 2, failed, skipped: 0, problems: [], output: '', figures, ms: 2_000 };
}
const kills = (n: number): Figures[] => [{ ids: ['R4'], values: { kills: n } }];
const promised = (id: string, ...files: string[]): Promised => ({ id, promise: `of ${id}`, how: 'so', files });
const there = () => true;

test('lines of figures are found among what uvu prints, and nothing else is', () => {
  const output = [
    '• • R4 {"kills":500}',
    'R7,R8 {"refused":2}',
    'soak {"minutes":60}',
    'R11 R2 {"cases":1}',
    'R2 {broken}',
    'see R4 and {"x":1}',
    'R4: {"x":1}',
    '• "R9 {}" was expected',
  ];
  assert.equal(readFigures(`${output.join('\n')}\n`), [
    { ids: ['R4'], values: { kills: 500 } },
    { ids: ['R7', 'R8'], values: { refused: 2 } },
    { ids: ['soak'], values: { minutes: 60 } },
    { ids: ['R11', 'R2'], values: { cases: 1 } },
  ]);
});

test('a promise holds when each of its files exists, ran and passed', () => {
  const files = ['a.test.ts', 'b.long.ts'];
  const stand = (exists = there) => verdict(standings([promised('R4', ...files)], readLedger(ledger), exists)[0]!);
  assert.is(stand(), 'not run: a.test, b.long');
  recordFile(ledger, 'a.test.ts', ended({ figures: kills(3) }));
  assert.is(stand(), 'not run: b.long');
  recordFile(ledger, 'b.long.ts', ended({ figures: kills(500), failed: 1 }));
  assert.is(stand(), 'FAILED: b.long');
  recordFile(ledger, 'b.long.ts', ended({ figures: kills(500) }));
  assert.is(stand(), 'holds');
  assert.is(
    stand(() => false),
    'missing: a.test, b.long',
  );
});

test('a promise that nothing shows does not hold', () => {
  assert.is(verdict(standings([promised('R4')], {}, there)[0]!), 'nothing shows it');
});

test('a file that prints figures for a promise shows it, listed or not, also when it fails later on', () => {
  recordFile(ledger, 'a.test.ts', ended({}));
  recordFile(ledger, 'new.test.ts', ended({ figures: kills(9) }));
  const find = () => standings([promised('R4', 'a.test.ts')], readLedger(ledger), there)[0]!;
  assert.is(verdict(find()), 'holds');
  assert.equal(
    find().shown.map(({ file }) => file),
    ['a.test.ts', 'new.test.ts'],
  );
  recordFile(ledger, 'new.test.ts', ended({ failed: 1 }));
  assert.is(verdict(find()), 'FAILED: new.test');
  recordFile(ledger, 'new.test.ts', ended({ failed: 1 }));
  assert.is(verdict(find()), 'FAILED: new.test', 'and the time after');
  const gone = standings([promised('R4', 'a.test.ts')], readLedger(ledger), (file) => file === 'a.test.ts')[0]!;
  assert.is(verdict(gone), 'holds', 'the record of a file that is gone counts for nothing');
});

test('a file that would print figures for a promise belongs to it before it was ever run, and so does its long form', () => {
  const declared = declaredBy(join(import.meta.dirname, '../..'));
  assert.equal(declared['test/host/no-dumps.test.ts'], ['R3']);
  assert.equal(declared['test/probe/secrets-wasm.long.ts'], ['R1', 'R2'], 'over two files');
  assert.equal(declared['test/runner/skips.test.ts'], []);
  const [found] = standings([promised('R3')], {}, there, { 'a.test.ts': ['R3'], 'b.test.ts': [] });
  assert.is(verdict(found!), 'not run: a.test');
});

test('a run of some files leaves the others as they were', () => {
  recordFile(ledger, 'a.test.ts', ended({ figures: kills(3) }), new Date('2026-01-02T03:04:05Z'));
  const before = readLedger(ledger)['a.test.ts'];
  recordFile(ledger, 'b.test.ts', ended({}), new Date('2026-02-02T03:04:05Z'));
  assert.equal(readLedger(ledger)['a.test.ts'], before);
  assert.is(before!.date, '2026-01-02T03:04Z');
  assert.match(before!.machine, / x .* GiB$/);
  const [one, both] = [['a.test.ts'], ['a.test.ts', 'b.test.ts']].map((files) =>
    documentOf(standings([promised('R4', ...files)], readLedger(ledger), there)),
  );
  assert.match(one!, '| holds | 2026-01-02 |');
  assert.match(both!, '| holds | 2026-01-02 to 2026-02-02 |');
});

test('figures are told in words, with their units', () => {
  const values = { what: 'a soak', answeredTwice: 0, rssMiB: [246, 1293.25], p99Ms: 3, found: { none: true } };
  recordFile(ledger, 'x', ended({ figures: [{ ids: ['R4'], values }] }));
  const told = screenTable(standings([promised('R4')], readLedger(ledger), there));
  assert.match(told, 'a soak: answered twice: 0, rss (MiB): 246 / 1,293.25, p99 (ms): 3, found: (none: true)');
});

test('the long form speaks for the short one', () => {
  const record = (n: number): Ledger[string] => {
    recordFile(ledger, 'x', ended({ figures: kills(n) }));
    return readLedger(ledger).x!;
  };
  const records = { 'kill.test.ts': record(3), 'kill.long.ts': record(12_345), 'other.test.ts': record(7) };
  const told = screenTable(standings([promised('R4')], records, there));
  assert.match(told, '1 of 1 promises hold');
  assert.match(told, 'kills: 12,345');
  assert.match(told, 'kills: 7');
  assert.not.match(told, /kills: 3\b/);
});

test('what failed, is missing or was not run is said in the document, in bold', () => {
  recordFile(ledger, 'bad.test.ts', ended({ failed: 1 }));
  const list = [promised('R1', 'bad.test.ts'), promised('R2', 'never.test.ts'), promised('R3', 'gone.test.ts')];
  const page = documentOf(standings(list, readLedger(ledger), (file) => file !== 'gone.test.ts'));
  for (const words of [
    '0 of 3 hold.',
    '**FAILED: bad.test**',
    '**not run: never.test**',
    '**missing: gone.test**',
    '**1 failed**',
  ]) {
    assert.ok(page.includes(words), `${words} in:\n${page}`);
  }
});

test('R1 to R21 and the soak are promised, each by files that exist', () => {
  const ids = [...Array.from({ length: 21 }, (_, i) => `R${i + 1}`), 'soak'];
  assert.equal(
    PROMISES.map(({ id }) => id),
    ids,
  );
  for (const { id, files } of PROMISES) {
    for (const file of files) assert.ok(existsSync(join(import.meta.dirname, '../..', file)), `${id}: ${file}`);
  }
});

test('a damaged ledger is no reason to forget: the next run says so', () => {
  writeFileSync(ledger, '{');
  assert.throws(() => recordFile(ledger, 'a.test.ts', ended({})));
  assert.is(readFileSync(ledger, 'utf8'), '{');
});

test.run();
