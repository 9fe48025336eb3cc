import { writeSync } from 'node:fs';
import { inspect } from 'node:util';
import { RECORD_FD, type Record, type TestState } from './record.ts';

interface Running {
  label: string;
  giveUp(error: Error): void;
}

const names: string[] = [];
let running: Running | null = null;
/** The test that began last: what an `each` hook throws after it is its failure. */
let latest = -1;

/** Blocking, so that nothing is lost when the file ends the process. */
export function tell(record: Record): void {
  writeSync(RECORD_FD, `${JSON.stringify(record)}\n`);
}

function tellTest(id: number, state: TestState): void {
  tell({ type: 'test', id, name: names[id] as string, state });
}

async function settle(label: string, work: () => unknown): Promise<void> {
  const { promise, reject } = Promise.withResolvers<never>();
  running = { label, giveUp: reject };
  try {
    await Promise.race([work(), promise]);
  } finally {
    running = null;
  }
}

/** uvu can print nothing but an Error: anything else ends its suite without a word, and well. */
function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(`threw what is no Error: ${inspect(thrown)}`);
}

/** Follows the tests and hooks of this process. */
export const watch = {
  register(name: string): number {
    const id = names.push(name) - 1;
    tellTest(id, 'registered');
    return id;
  },
  only(name: string): void {
    tell({ type: 'only', name });
  },
  skip(name: string): void {
    tellTest(names.push(name) - 1, 'skipped');
  },
  async test(id: number, work: () => unknown): Promise<void> {
    latest = id;
    tellTest(id, 'running');
    try {
      await settle(names[id] as string, work);
      tellTest(id, 'passed');
    } catch (error) {
      tellTest(id, 'failed');
      throw asError(error);
    }
  },
  async hook(label: string, work: () => unknown): Promise<void> {
    try {
      await settle(`hook ${label}`, work);
    } catch (error) {
      if (label.endsWith('after each') && latest >= 0) tellTest(latest, 'failed');
      console.error(error);
      tell({ type: 'problem', text: `hook ${label} threw` });
      throw asError(error);
    }
  },
  /** What runs now, if anything. */
  running(): string | null {
    return running?.label ?? null;
  },
  /** Fails what runs now. */
  giveUp(reason: string): void {
    running?.giveUp(new Error(reason));
  },
};
