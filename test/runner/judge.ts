import type { Record, TestState } from './record.ts';

/** What the wrapper has seen of one file's process. */
export interface Seen {
  records: readonly Record[];
  exitCode: number | null;
  signal: string | null;
  /** It ran until its deadline (ms) and was killed. */
  overran: number | null;
  /** Command lines of processes that it left behind. */
  leftBehind: readonly string[];
}

export interface Verdict {
  /** Counts of tests. A file that is broken in itself counts as one failed test at least. */
  passed: number;
  failed: number;
  skipped: number;
  /** Names of failed tests, and what is wrong with the file. */
  problems: string[];
}

/** Believes nothing but the records: neither what a file prints nor how it exits makes a test pass. */
export function judge(seen: Seen, allowedSkips: { readonly [name: string]: string }): Verdict {
  const tests = new Map<number, { name: string; state: TestState }>();
  const problems: string[] = [];
  let done: { passed: number } | null = null;
  for (const record of seen.records) {
    if (record.type === 'test') tests.set(record.id, record);
    if (record.type === 'only') problems.push(`${record.name}: marked \`only\`, which hides the other tests`);
    if (record.type === 'problem') problems.push(record.text);
    if (record.type === 'done') done = record;
  }
  const named = (state: TestState) =>
    [...tests.values()].filter((test) => test.state === state).map(({ name }) => name);
  const passed = named('passed').length;
  const skipped = named('skipped');
  const unreasoned = skipped.filter((name) => !allowedSkips[name]?.trim());

  const hint = problems.length === 0 && done !== null ? ' (is test.run() missing?)' : '';
  for (const name of named('failed')) problems.push(`${name}: failed`);
  for (const name of named('running')) problems.push(`${name}: did not end`);
  for (const name of named('registered')) problems.push(`${name}: never run${hint}`);
  for (const name of unreasoned) problems.push(`${name}: skipped without a reason in test/skips.json`);
  for (const name of Object.keys(allowedSkips)) {
    if (!skipped.includes(name)) problems.push(`${name}: listed in test/skips.json, but not skipped`);
  }
  if (tests.size === 0) problems.push('reported no test');
  if (done !== null && done.passed !== passed) problems.push(`uvu counts ${done.passed} passed, the records ${passed}`);
  if (seen.overran !== null) problems.push(`ran longer than ${seen.overran / 1000} s: killed`);
  else if (done === null) problems.push('ended before its tests did');
  if (seen.overran === null && (seen.exitCode !== 0 || seen.signal !== null)) {
    problems.push(seen.signal === null ? `exit code ${seen.exitCode}` : `ended by ${seen.signal}`);
  }
  for (const command of seen.leftBehind) problems.push(`left a process behind: ${command}`);

  const notPassed = tests.size - passed - (skipped.length - unreasoned.length);
  const failed = problems.length > 0 ? Math.max(1, notPassed) : notPassed;
  return { passed, failed, skipped: skipped.length - unreasoned.length, problems };
}
