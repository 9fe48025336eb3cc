/**
 * The mutation check: breaks a copy of the tree in one place after the other, and expects the tests that are named
 * there to notice.
 *
 *   node test/mutation/run.ts [--only TEXT]...
 *
 * Prints a line for each, and last `mutations {"caught":N,"of":N}`. Exit code 1 when one was not noticed.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { MUTATIONS, type Mutation } from './mutations.ts';

const root = join(import.meta.dirname, '../..');
/** Of models that run as long as they are told to: enough to notice. */
const SHORT = { REDOUBT_SCHEDULES: '200', REDOUBT_SEQUENCES: '1000' };
const LIMIT_MS = 180_000;

export interface Caught {
  caught: number;
  of: number;
  /** Those that no test has noticed. */
  survivors: string[];
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { only: { type: 'string', multiple: true } } });
  const { only } = values;
  const chosen = MUTATIONS.filter(({ name }) => only?.some((text) => name.includes(text)) ?? true);
  const { caught, of } = checkMutations(chosen);
  if (of === 0 || caught < of) process.exitCode = 1;
}

/** @throws Error when a mutation is for code that is not there, or its tests fail without it */
export function checkMutations(mutations: readonly Mutation[]): Caught {
  const copy = copyTree();
  try {
    for (const mutation of mutations) mutated(copy, mutation);
    const tests = [...new Set(mutations.flatMap((one) => one.tests))];
    const build = mutations.some((one) => one.build === true);
    const whole = run(copy, tests, build);
    if (whole.code !== 0) throw new Error(`the tests fail without a mutation:\n${whole.output}`);
    const survivors: string[] = [];
    for (const mutation of mutations) {
      const started = performance.now();
      const noticed = check(copy, mutation);
      const s = ((performance.now() - started) / 1000).toFixed(1);
      console.log(
        `${noticed === null ? 'SURVIVED' : 'caught  '}  ${mutation.promise.padEnd(13)}  ${mutation.name}  (${s} s)`,
      );
      if (noticed === null) survivors.push(mutation.name);
      else console.log(`            by ${noticed}`);
    }
    const result = { caught: mutations.length - survivors.length, of: mutations.length };
    console.log(`mutations ${JSON.stringify(result)}`);
    return { ...result, survivors };
  } finally {
    rmSync(copy, { recursive: true });
  }
}

/** What is under version control, as it is now, with the packages of this tree. */
function copyTree(): string {
  const copy = mkdtempSync(join(tmpdir(), 'redoubt-mutation-'));
  const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], { cwd: root });
  for (const file of listed.toString().split('\0').slice(0, -1)) {
    mkdirSync(dirname(join(copy, file)), { recursive: true });
    cpSync(join(root, file), join(copy, file));
  }
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
  return copy;
}

function mutated(
  copy: string,
  { name, file, find, replace }: Mutation,
): { path: string; before: string; after: string } {
  const path = join(copy, file);
  const before = readFileSync(path, 'utf8');
  const parts = before.split(find);
  if (parts.length !== 2) throw new Error(`${name}: ${file} has its text ${parts.length - 1} times, not once`);
  return { path, before, after: parts.join(replace) };
}

/** @returns the first test that noticed, or null */
function check(copy: string, mutation: Mutation): string | null {
  const { path, before, after } = mutated(copy, mutation);
  writeFileSync(path, after);
  try {
    const { code, output } = run(copy, mutation.tests, mutation.build === true);
    if (code === 0) return null;
    // Who cannot be loaded has noticed nothing.
    if (/could not be loaded|build failed/.test(output)) throw new Error(`${mutation.name}: does not run\n${output}`);
    return /^FAIL (.*?) {2}/m.exec(output)?.[1] ?? 'a test that did not end';
  } finally {
    writeFileSync(path, before);
  }
}

function run(copy: string, tests: readonly string[], build: boolean): { code: number | null; output: string } {
  const options = { cwd: copy, env: { ...process.env, ...SHORT }, encoding: 'utf8', timeout: LIMIT_MS } as const;
  if (build) {
    const built = spawnSync(process.execPath, ['build.ts'], options);
    if (built.status !== 0) return { code: 1, output: `build failed\n${built.stdout}${built.stderr}` };
  }
  const { status, stdout, stderr } = spawnSync(process.execPath, ['test/run.ts', ...tests], options);
  return { code: status, output: `${stdout}${stderr}` };
}
