/** How each test file that shows a promise ended when it was last run, kept beside the program: long forms are run in parts. */
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import type { Figures } from '../runner/figures.ts';
import type { FileResult } from '../runner/file.ts';

export interface FileRecord {
  /** Ids of the promises that its figures are for. */
  shows: string[];
  passed: number;
  failed: number;
  /** With a reason in test/skips.json. */
  skipped: number;
  seconds: number;
  /** ISO 8601, to the minute. */
  date: string;
  machine: string;
  node: string;
  figures: Figures[];
}

/** By the file's path from the root of the repository. */
export type Ledger = { [file: string]: FileRecord };

export function readLedger(path: string): Ledger {
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as Ledger) : {};
}

/**
 * Keeps how a file ended, in the place of the time before; other files stay as they were.
 * A file that failed before it printed its figures still stands for what it showed the last time.
 */
export function recordFile(path: string, file: string, result: FileResult, now = new Date()): void {
  const ledger = readLedger(path);
  const printed = result.figures.flatMap(({ ids }) => ids);
  const before = result.failed > 0 ? (ledger[file]?.shows ?? []) : [];
  ledger[file] = {
    shows: [...new Set([...printed, ...before])],
    passed: result.passed,
    failed: result.failed,
    skipped: result.skipped,
    seconds: Math.round(result.ms / 1000),
    date: `${now.toISOString().slice(0, 16)}Z`,
    machine: thisMachine(),
    node: process.version,
    figures: result.figures,
  };
  const sorted = Object.fromEntries(Object.entries(ledger).sort(([a], [b]) => (a < b ? -1 : 1)));
  // In one step: a run that is ended in the middle leaves what was there.
  writeFileSync(`${path}.tmp`, `${JSON.stringify(sorted, null, 2)}\n`);
  renameSync(`${path}.tmp`, path);
}

/** As the benchmarks say it (bench/measure.ts). */
function thisMachine(): string {
  const cpu = cpus();
  return `${cpu.length} x ${cpu[0]?.model.trim() ?? 'unknown'}, ${Math.round(totalmem() / 2 ** 30)} GiB`;
}
