/** What a test file's process tells the wrapper, one JSON line each, on a pipe of its own (file descriptor 3). */
export type TestState = 'registered' | 'running' | 'passed' | 'failed' | 'skipped';

export type Record =
  /** `id` counts from 0 in the order of registration; the last state that was told holds. */
  | { type: 'test'; id: number; name: string; state: TestState }
  /** `test.only` hides the other tests of its suite. */
  | { type: 'only'; name: string }
  /** Wrong with the file and not with one test. */
  | { type: 'problem'; text: string }
  /** Every suite was run; `passed` is uvu's own count. */
  | { type: 'done'; passed: number };

export const RECORD_FD = 3;
