/** What all benchmarks share: runs in turn, spread, the table on the screen and the result on disk. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';

export const RESULTS = join(import.meta.dirname, 'results');
/** How busy others kept the machine: the average of the last minute, as the benchmark began. */
const loadBefore = Number(loadavg()[0]!.toFixed(1));

/** Several measurements of one thing. */
export interface Spread {
  median: number;
  min: number;
  max: number;
}

/** One line of a result; its columns are the benchmark's own. */
export type Row = { [column: string]: string | number | Spread };

export interface Result {
  name: string;
  /** What was measured, and in which unit. */
  what: string;
  date: string;
  machine: string;
  node: string;
  /** Load average of the machine when the benchmark began. */
  load?: number;
  rows: Row[];
  /** How it was measured, and which targets were met; a sentence each. */
  notes?: string[];
  /** Every single measurement. */
  runs?: Row[];
  /** Names of pictures, which lie beside the result as `<benchmark>-<name>.svg`. */
  pictures?: string[];
}

export function spread(values: readonly number[]): Spread {
  if (values.length === 0) throw new RangeError('nothing was measured');
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length / 2;
  const median = sorted.length % 2 === 1 ? sorted[Math.floor(half)]! : (sorted[half - 1]! + sorted[half]!) / 2;
  return { median, min: sorted[0]!, max: sorted.at(-1)! };
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/**
 * Takes a sample of each subject in turn (A B A B), so that what disturbs the machine disturbs them alike.
 *
 * @returns for each subject its samples, in order: the nth of all belong together
 */
export async function inTurn<S, T>(
  subjects: readonly S[],
  rounds: number,
  sample: (subject: S) => T | Promise<T>,
): Promise<T[][]> {
  const samples: T[][] = subjects.map(() => []);
  for (let round = 0; round < rounds; round++) {
    for (const [i, subject] of subjects.entries()) samples[i]!.push(await sample(subject));
  }
  return samples;
}

/** `inTurn` for subjects that yield different things. */
export async function inTurnOf<T extends unknown[]>(
  rounds: number,
  ...takes: { [K in keyof T]: () => Promise<T[K]> }
): Promise<{ [K in keyof T]: T[K][] }> {
  const samples = await inTurn<() => Promise<unknown>, unknown>(takes, rounds, (take) => take());
  return samples as { [K in keyof T]: T[K][] };
}

/** The spread of a / b, of samples that were taken in turn. */
export function ratio(a: readonly number[], b: readonly number[]): Spread {
  return spread(a.map((value, i) => value / b[i]!));
}

/** `12.3 (11.9-14.0)`, or the value as it is. */
export function shown(value: Row[string] | undefined): string {
  if (value === undefined) return '';
  if (typeof value === 'string') return value;
  if (typeof value === 'number') return digits(value);
  return `${digits(value.median)} (${digits(value.min)}-${digits(value.max)})`;
}

/** Three significant digits, and no fraction from 100 on. */
function digits(value: number): string {
  return Math.abs(value) >= 100 || Number.isInteger(value) ? value.toFixed(0) : value.toPrecision(3);
}

/**
 * Prints the table and writes it as JSON: to `bench/results/`, which the documentation quotes, when the benchmark ran as
 * it does by default; to the folder for temporary files when it was given options.
 */
export function publish(
  name: string,
  what: string,
  rows: Row[],
  { svg = {}, ...more }: Pick<Result, 'notes' | 'runs'> & { svg?: { [picture: string]: string } } = {},
): void {
  const cpu = cpus();
  const result: Result = {
    name,
    what,
    date: new Date().toISOString().slice(0, 10),
    machine: `${cpu.length} x ${cpu[0]?.model.trim() ?? 'unknown'}, ${Math.round(totalmem() / 2 ** 30)} GiB`,
    node: process.version,
    load: loadBefore,
    rows,
    ...more,
    ...(Object.keys(svg).length > 0 ? { pictures: Object.keys(svg) } : {}),
  };
  console.log(
    `\n${what}\n${result.machine}, Node ${result.node}, load average before ${loadBefore}; median (min-max)\n`,
  );
  console.log(table(rows));
  for (const note of more.notes ?? []) console.log(`\n${note}`);
  const byDefault = process.argv.length === 2;
  if (byDefault) mkdirSync(RESULTS, { recursive: true });
  const base = byDefault ? join(RESULTS, name) : join(tmpdir(), `redoubt-bench-${name}`);
  const path = `${base}.json`;
  for (const [picture, text] of Object.entries(svg)) writeFileSync(`${base}-${picture}.svg`, text);
  writeFileSync(path, `${JSON.stringify(result, null, 2)}\n`);
  console.log(`\nwritten to ${path}`);
}

/** The rows as a Markdown table, which is one on the screen as well. */
export function table(rows: readonly Row[]): string {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const cells = [columns, ...rows.map((row) => columns.map((column) => shown(row[column])))];
  const widths = columns.map((_, i) => Math.max(...cells.map((line) => line[i]!.length)));
  const lines = cells.map((line) => `| ${line.map((cell, i) => cell.padEnd(widths[i]!)).join(' | ')} |`);
  lines.splice(1, 0, `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`);
  return lines.join('\n');
}
