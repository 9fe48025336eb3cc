/**
 * The test command: every test file in a process of its own, judged by docs/DEVELOPMENT.md's rules.
 *
 *   node test/run.ts [--long] [--jobs N] [FILTER...]
 *
 * With --long it keeps how each file ended and what it measured, prints the table of promises and writes
 * docs/RELIABILITY.md (test/reliability/). The last line is
 * `N passed, N failed`, counted in tests. Exit code 1 when one failed or none ran.
 */
import { existsSync, globSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { DOCUMENT, keepResult, LEDGER, writeDocument } from './reliability/document.ts';
import { lineOf } from './runner/figures.ts';
import { type FileResult, killAll, readNeeds, runFile } from './runner/file.ts';
import { allowedSkips } from './runner/skips.ts';

const DEADLINE_MS = 60_000;
const LONG_DEADLINE_MS = 30 * 60_000;

const { values: options, positionals: filters } = parseArgs({
  allowPositionals: true,
  options: {
    long: { type: 'boolean', default: false },
    jobs: { type: 'string', default: '2' },
    /** The wrapper's own tests run it on files that the normal run must not see. */
    dir: { type: 'string', default: import.meta.dirname },
    ending: { type: 'string', default: '.test.ts' },
    ledger: { type: 'string', default: LEDGER },
    document: { type: 'string', default: DOCUMENT },
  },
});

const root = join(import.meta.dirname, '..');
const skipsFile = join(options.dir, 'skips.json');
const skips = existsSync(skipsFile) ? await allowedSkips(JSON.parse(readFileSync(skipsFile, 'utf8'))) : {};
const totals = { passed: 0, failed: 0, skipped: 0 };

const files = globSync(options.long ? [`**/*${options.ending}`, '**/*.long.ts'] : `**/*${options.ending}`, {
  cwd: options.dir,
})
  .sort()
  .map((name) => {
    const path = join(options.dir, name);
    return {
      name: relative(root, path),
      path,
      ...readNeeds(path, name.endsWith('.long.ts') ? LONG_DEADLINE_MS : DEADLINE_MS),
    };
  })
  .filter(({ name }) => filters.length === 0 || filters.some((filter) => name.includes(filter)))
  // What may take longest begins first: begun last, it would be waited for alone.
  .sort((a, b) => b.deadlineMs - a.deadlineMs);

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130));
process.on('exit', killAll);

await runEach(
  files.filter(({ alone }) => !alone),
  Number(options.jobs),
);
await runEach(
  files.filter(({ alone }) => alone),
  1,
);
if (options.long && files.length > 0) console.log(`\n${writeDocument(options.ledger, options.document)}\n`);
if (files.length === 0) console.log(`no test file${filters.length > 0 ? ` matches ${filters.join(' ')}` : ''}`);
if (totals.skipped > 0) console.log(`${totals.skipped} skipped, for reasons given in test/skips.json`);
process.exitCode = totals.failed > 0 || totals.passed === 0 ? 1 : 0;
console.log(`${totals.passed} passed, ${totals.failed} failed`);

async function runEach(queue: typeof files, jobs: number): Promise<void> {
  const waiting = queue[Symbol.iterator]();
  const work = async () => {
    for (const file of waiting) {
      const result = await runFile(file.path, file.deadlineMs, skips[file.name] ?? {});
      if (options.long) keepResult(file.name, result, options.ledger);
      print(file.name, result);
    }
  };
  await Promise.all(Array.from({ length: jobs }, work));
}

function print(name: string, result: FileResult): void {
  totals.passed += result.passed;
  totals.failed += result.failed;
  totals.skipped += result.skipped;
  const good = result.problems.length === 0;
  const counts = `${result.passed} passed${result.failed > 0 ? `, ${result.failed} failed` : ''}`;
  console.log(`${good ? 'ok  ' : 'FAIL'} ${name}  ${counts}  ${(result.ms / 1000).toFixed(1)} s`);
  for (const figures of result.figures) console.log(`     ${lineOf(figures)}`);
  if (good) return;
  for (const problem of result.problems) console.log(`     - ${problem}`);
  console.log(result.output.replace(/^/gm, '     | '));
}
