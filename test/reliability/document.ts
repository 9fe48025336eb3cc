/** docs/RELIABILITY.md, written wholly anew at the end of each `npm run test:long`. */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FileResult } from '../runner/file.ts';
import { declaredBy } from './declared.ts';
import { readLedger, recordFile } from './ledger.ts';
import { PROMISES } from './promises.ts';
import { machines, markdownSections, markdownTable, screenTable } from './report.ts';
import { type Standing, standings } from './standing.ts';

export const LEDGER = join(import.meta.dirname, 'results.json');
export const DOCUMENT = join(import.meta.dirname, '../../docs/RELIABILITY.md');
const ROOT = join(import.meta.dirname, '../..');

/** Keeps how a file ended, if it shows anything of what is promised. */
export function keepResult(file: string, result: FileResult, ledger = LEDGER): void {
  const listed = PROMISES.some(({ files }) => files.includes(file));
  // One that has failed may have had no time for it.
  if (listed || declaredBy(ROOT)[file]?.length || result.figures.length > 0 || file in readLedger(ledger))
    recordFile(ledger, file, result);
}

/** How every promise stands by a ledger; the table for the screen. */
export function writeDocument(ledger = LEDGER, document = DOCUMENT): string {
  const exists = (file: string) => existsSync(join(ROOT, file));
  const found = standings(PROMISES, readLedger(ledger), exists, declaredBy(ROOT));
  writeFileSync(document, documentOf(found));
  return screenTable(found);
}

export function documentOf(found: readonly Standing[]): string {
  const holding = found.filter(({ holds }) => holds).length;
  return `# Reliability: what is promised, and how it is shown

Written by \`npm run test:long\` from the last run of each test file: change the tests or \`test/reliability/\`, not this file.

Each promise has tests that fail when it is broken: a test is seen to fail once when it is written, and \`npm run test:mutations\` breaks the source
in many places and asks which test notices ([DEVELOPMENT.md](DEVELOPMENT.md)).
A promise **holds** when every file that shows it exists, was run, and passed in its last run. One that was not run or failed says so.
Limits that a test exceeds are raised by configuration, faults are made by killing, locking, filling and cutting from outside, and time is
moved by an entry point that only tests have: what is tested is the program that is installed.

${holding} of ${found.length} hold.

${markdownTable(found)}

Run on:

${machines(found)}

## Again

| command | what it runs |
| --- | --- |
| \`npm test\` | every short form; each commit |
| \`npm run test:long\` | the long forms too, and this page at its end; some hours |
| \`npm run test:long -- fault policy/kill\` | the files whose path contains one of the words; this page then changes where those files belong |
| \`npm run test:long -- soak\` | the hour under mixed traffic and faults |
| \`npm run test:mutations\` | the tests of the tests |

## What shows each

${markdownSections(found)}

## What is not shown, and why

- **Native crashes.** Threads keep faults of JavaScript apart. A crash inside libsecp256k1, SQLite or Node itself ends the process, with every
  key in it. It starts again (systemd, container), and autounlock or an operator unlocks; nobody is answered in between.
- **A disk that lies.** Rows are synchronised before an answer leaves, and kill -9 is tried by the hundred. Pulling the plug is not: a
  disk that reports data as written and keeps it in a cache of its own loses it, whatever a program does.
- **Broken hardware.** A bit that flips in memory is not noticed where no checksum or signature covers it.
- **Root on the host**, or whoever may debug the process: reads every key that is unlocked ([SECURITY.md](SECURITY.md)).
- **The JavaScript curve** (\`noble\`) leaves copies of big integers where nobody can overwrite them; the scan of memory after a lock is done for the
  native and the wasm backend. The same goes for a passphrase that is not ASCII, while it is normalised.
- **Timing and other side channels.** libsecp256k1 signs in constant time. Its multiplication of points does not: the native backend gives it
  random shares of the private key only, new each time, so that how long it takes says nothing about the key; who could follow a single
  multiplication step by step, from the same core, would learn shares. The other backends are not held to constant time here (ECDH is OpenSSL's there), and nobody measured
  what a neighbour on the same processor could learn.
- **Real relays over real networks.** Relays here are processes on the same machine that go down, keep silent, lose and repeat on demand.
- **Years.** The longest run is an hour. What grows by less than that shows does not show.
- **Speed.** No test asserts a time; [PERFORMANCE.md](PERFORMANCE.md) measures.
`;
}

if (import.meta.main) console.log(writeDocument());
