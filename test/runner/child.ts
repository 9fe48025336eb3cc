/**
 * Runs one test file in this process: `node child.ts FILE DEADLINE_MS`, with the wrapper at the other end of file
 * descriptor 3. Exit code 0 says only that the tests were run; how they ended is in the records.
 */
import { registerHooks } from 'node:module';
import { pathToFileURL } from 'node:url';
import { tell, watch } from './watch.ts';

type Suite = () => Promise<[errors: string | true, passed: number, skipped: number, total: number]>;
const shared = globalThis as { UVU_DEFER?: number; UVU_QUEUE?: (string | null | Suite)[][] };

/** How long a file may take to end by itself after its last test. */
const LINGER_MS = 5_000;
/** Before the wrapper kills the process. */
const MARGIN_MS = 2_000;

const [file, deadline] = process.argv.splice(2) as [string, string];
process.argv[1] = file;

const standIn = new URL('./uvu.ts', import.meta.url).href;
registerHooks({
  resolve: (specifier, context, next) =>
    specifier === 'uvu' && context.parentURL !== standIn
      ? { url: standIn, format: 'module-typescript', shortCircuit: true }
      : next(specifier, context),
});

// uvu starts nothing by itself then, and leaves its suites in the queue.
shared.UVU_DEFER = 1;
await import('uvu');
shared.UVU_QUEUE ??= [];
const suites: Suite[] = [];
shared.UVU_QUEUE[0] = suites;

process.on('beforeExit', () => watch.giveUp('never settles: nothing is left that could wake it'));
stopAfter(Number(deadline) - MARGIN_MS, () => {
  const what = watch.running();
  return what === null ? 'did not end in time' : `${what}: not settled within the deadline`;
});

void runAll();

async function runAll(): Promise<void> {
  try {
    await import(pathToFileURL(file).href);
  } catch (error) {
    console.error(error);
    tell({ type: 'problem', text: 'could not be loaded' });
    process.exit(1);
  }
  let passed = 0;
  for (const suite of suites) {
    try {
      const [errors, count] = await suite();
      passed += count;
      if (typeof errors === 'string') console.error(`\n${errors}`);
    } catch {
      // The hook that threw has been told of already.
    }
  }
  tell({ type: 'done', passed });
  stopAfter(LINGER_MS, () => `did not end ${LINGER_MS / 1000} s after its last test`);
}

function stopAfter(ms: number, reason: () => string): void {
  setTimeout(() => {
    tell({
      type: 'problem',
      text: `${reason()}; still open: ${[...new Set(process.getActiveResourcesInfo())].join(', ')}`,
    });
    process.exit(1);
  }, ms).unref();
}
