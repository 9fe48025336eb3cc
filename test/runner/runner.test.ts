import { execFile } from 'node:child_process';
import { globSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { suite, test } from 'uvu';
import * as assert from 'uvu/assert';
import { type FileResult, readNeeds, runFile } from './file.ts';
import skips from './samples/skips.json' with { type: 'json' };

const samples = join(import.meta.dirname, 'samples');
const wrapper = join(import.meta.dirname, '../run.ts');

interface Expected {
  passed: number;
  failed: number;
  skipped?: number;
  /** Each is part of one problem. */
  problems?: string[];
  /** uvu by itself is content with it: a gap that the wrapper closes. */
  greenAlone?: true;
}

const expected: { [sample: string]: Expected } = {
  figures: { passed: 2, failed: 0, greenAlone: true },
  passes: { passed: 3, failed: 0, greenAlone: true },
  fails: { passed: 1, failed: 1, problems: ['bad: failed'] },
  'throws-no-error': { passed: 1, failed: 1, problems: ['throws text: failed'], greenAlone: true },
  'before-throws': { passed: 0, failed: 1, problems: ['hook before threw', 'never reached'], greenAlone: true },
  'before-each-throws': { passed: 0, failed: 1, problems: ['hook before each threw'] },
  'after-throws': { passed: 1, failed: 1, problems: ['hook after threw'] },
  'after-each-throws': { passed: 0, failed: 1, problems: ['hook after each threw', 'bad: failed'], greenAlone: true },
  'forgotten-run': { passed: 0, failed: 1, problems: ['never run: never run'], greenAlone: true },
  'half-forgotten-run': { passed: 1, failed: 1, problems: ['never run: never run'], greenAlone: true },
  'never-settles': { passed: 1, failed: 1, problems: ['waits for nothing: failed'] },
  'never-settles-open': { passed: 0, failed: 1, problems: ['waits beside a timer: not settled', 'Timeout'] },
  busy: { passed: 0, failed: 1, problems: ['never yields: did not end', 'ran longer than 3 s: killed'] },
  'no-test': { passed: 0, failed: 1, problems: ['reported no test'], greenAlone: true },
  'looks-like-a-pass': { passed: 0, failed: 1, problems: ['reported no test'], greenAlone: true },
  skipped: { passed: 1, failed: 1, problems: ['left out: skipped without a reason'], greenAlone: true },
  'skipped-with-reason': { passed: 1, failed: 0, skipped: 1, greenAlone: true },
  'no-longer-skipped': {
    passed: 1,
    failed: 1,
    problems: ['once left out: listed in test/skips.json'],
    greenAlone: true,
  },
  only: { passed: 1, failed: 1, problems: ['shown: marked `only`', 'hidden: never run'], greenAlone: true },
  'exits-early': { passed: 1, failed: 2, problems: ['leaves: did not end', 'never reached', 'before its tests did'] },
  'exits-while-loading': { passed: 0, failed: 1, problems: ['never reached: never run'], greenAlone: true },
  'exit-code': { passed: 1, failed: 1, problems: ['exit code 3'] },
  'does-not-load': { passed: 0, failed: 1, problems: ['could not be loaded'] },
  'late-rejection': { passed: 1, failed: 1, problems: ['exit code 1'] },
  'stays-open': { passed: 1, failed: 1, problems: ['after its last test', 'Timeout'] },
  'leaves-process': { passed: 1, failed: 1, problems: ['left a process behind'] },
};

function pathOf(sample: string): string {
  return join(samples, `${sample}.sample.ts`);
}

function runSample(sample: string): Promise<FileResult> {
  const allowed = (skips as { [file: string]: { [test: string]: string } })[`test/runner/samples/${sample}.sample.ts`];
  return runFile(pathOf(sample), readNeeds(pathOf(sample), 20_000).deadlineMs, allowed ?? {});
}

function run(args: string[], timeout = 30_000): Promise<{ code: number; stdout: string }> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, args, { timeout, killSignal: 'SIGKILL' }, (_, stdout) =>
      resolve({ code: child.exitCode ?? -1, stdout }),
    );
  });
}

test('every sample is expected to end somehow', () => {
  const found = globSync('*.sample.ts', { cwd: samples }).map((name) => basename(name, '.sample.ts'));
  assert.equal(found.sort(), Object.keys(expected).sort());
});

const results = new Map<string, FileResult>();
test.before(async () => {
  const names = Object.keys(expected)[Symbol.iterator]();
  const work = async () => {
    for (const name of names) results.set(name, await runSample(name));
  };
  // Most of them wait: more at once than there are cores.
  await Promise.all([work(), work(), work(), work()]);
});

for (const [sample, { passed, failed, skipped = 0, problems = [] }] of Object.entries(expected)) {
  test(`${sample}: ${passed} passed, ${failed} failed`, () => {
    const result = results.get(sample) as FileResult;
    const told = `told: ${result.problems.join('; ')}\n${result.output}`;
    assert.is(result.passed, passed, told);
    assert.is(result.failed, failed, told);
    assert.is(result.skipped, skipped, told);
    assert.is(result.problems.length === 0, failed === 0, told);
    for (const problem of problems) assert.ok(result.problems.join('\n').includes(problem), `${problem} not ${told}`);
  });
}

test('the output of what a test and a hook threw is kept', () => {
  assert.match(results.get('fails')?.output ?? '', 'one is not two');
  assert.match(results.get('throws-no-error')?.output ?? '', "threw what is no Error: 'out of order'");
  assert.match(results.get('before-throws')?.output ?? '', 'no database');
  assert.match(results.get('late-rejection')?.output ?? '', 'too late');
});

test.run();

const alone = suite('uvu by itself');
for (const [sample, { greenAlone }] of Object.entries(expected)) {
  if (greenAlone) {
    alone(`is content with ${sample}`, async () => {
      assert.is((await run([pathOf(sample)])).code, 0);
    });
  }
}
alone.run();

const command = suite('the command');
command('ends with the totals and fails when a file does', async () => {
  const all = await run([wrapper, '--dir', samples, '--ending', '.sample.ts', '/passes', '/fails', '/skipped-with']);
  assert.is(all.code, 1);
  assert.match(all.stdout, /^ok {3}test\/runner\/samples\/passes\.sample\.ts {2}3 passed/m);
  assert.match(all.stdout, /^FAIL test\/runner\/samples\/fails\.sample\.ts {2}1 passed, 1 failed/m);
  assert.match(all.stdout, 'one is not two');
  assert.match(all.stdout, /\n1 skipped, .*\n5 passed, 1 failed\n$/);
});
command('shows the figures of files that passed; with --long it keeps them, and writes the page', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'redoubt-runner-'));
  const [ledger, document] = [join(folder, 'results.json'), join(folder, 'page.md')];
  try {
    const args = [wrapper, '--dir', samples, '--ending', '.sample.ts', '--ledger', ledger, '--document', document];
    const short = await run([...args, '/figures']);
    assert.match(short.stdout, /^ {5}R4,R8 \{"kills":3\}\n {5}R1 \{"probes":\["heap","tap"\]\}$/m);
    assert.equal(readdirSync(folder), []);
    const long = await run([...args, '--long', '/figures', '/passes']);
    assert.is(long.code, 0);
    const kept = JSON.parse(readFileSync(ledger, 'utf8'));
    assert.equal(Object.keys(kept), ['test/runner/samples/figures.sample.ts'], 'what shows nothing is not kept');
    assert.equal(kept['test/runner/samples/figures.sample.ts'].shows, ['R4', 'R8', 'R1']);
    assert.match(long.stdout, /^R4 +.*not run: /m);
    assert.match(long.stdout, /promises hold[\s\S]*\n5 passed, 0 failed\n$/);
    assert.match(readFileSync(document, 'utf8'), '`test/runner/samples/figures.sample.ts`: 2 passed');
  } finally {
    rmSync(folder, { recursive: true });
  }
});
command('succeeds when every test passed', async () => {
  const good = await run([wrapper, '--dir', samples, '--ending', '.sample.ts', '/passes']);
  assert.is(good.code, 0);
  assert.match(good.stdout, /\n3 passed, 0 failed\n$/);
});
command('fails when no file matches', async () => {
  const none = await run([wrapper, '--dir', samples, '--ending', '.sample.ts', 'no-such-file']);
  assert.is(none.code, 1);
  assert.match(none.stdout, /no test file matches no-such-file\n0 passed, 0 failed\n$/);
});
command('does not take the samples for tests', () => {
  assert.equal(globSync('samples/**/*.{test,long}.ts', { cwd: import.meta.dirname }), []);
});
command.run();
