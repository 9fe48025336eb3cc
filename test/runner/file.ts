import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Figures, readFigures } from './figures.ts';
import { groupMembers, killGroup } from './group.ts';
import { judge, type Verdict } from './judge.ts';
import { RECORD_FD, type Record } from './record.ts';

export interface FileResult extends Verdict {
  output: string;
  /** Lines of figures among what it printed. */
  figures: Figures[];
  ms: number;
}

export interface FileNeeds {
  deadlineMs: number;
  /** It wants the machine for itself. */
  alone: boolean;
}

/** What comment lines of a test file ask for: `// deadline: 120 s`, `// runs alone`. */
export function readNeeds(path: string, defaultMs: number): FileNeeds {
  const source = readFileSync(path, 'utf8');
  const deadline = /^\/\/ deadline: (\d+) s$/m.exec(source)?.[1];
  return {
    deadlineMs: deadline === undefined ? defaultMs : Number(deadline) * 1000,
    alone: /^\/\/ runs alone$/m.test(source),
  };
}

const OUTPUT_LIMIT = 4 * 1024 * 1024;
/** How long processes that a file has told to end may take for it. */
const GRACE_MS = 1_000;
const started = new Set<number>();

/** Runs one test file as the leader of a process group of its own. */
export async function runFile(
  path: string,
  deadlineMs: number,
  allowedSkips: { readonly [name: string]: string },
): Promise<FileResult> {
  const begin = performance.now();
  const child = spawn(process.execPath, [join(import.meta.dirname, 'child.ts'), path, String(deadlineMs)], {
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    detached: true,
  });
  const leader = child.pid as number;
  started.add(leader);
  let output = '';
  let lines = '';
  const print = (chunk: Buffer) => {
    if (output.length < OUTPUT_LIMIT) output += chunk;
  };
  child.stdout?.on('data', print);
  child.stderr?.on('data', print);
  child.stdio[RECORD_FD]?.on('data', (chunk: Buffer) => {
    lines += chunk;
  });

  let overran: number | null = null;
  const timer = setTimeout(() => {
    overran = deadlineMs;
    killGroup(leader);
  }, deadlineMs);
  const closed = new Promise((resolve) => child.once('close', resolve));
  const [exitCode, signal] = await new Promise<[number | null, string | null]>((resolve) =>
    child.once('exit', (code, name) => resolve([code, name])),
  );
  clearTimeout(timer);

  const patience = performance.now() + GRACE_MS;
  let leftBehind = groupMembers(leader);
  while (leftBehind.length > 0 && overran === null && performance.now() < patience) {
    await sleep(20);
    leftBehind = groupMembers(leader);
  }
  killGroup(leader);
  started.delete(leader);
  await closed;

  const records = lines
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Record);
  const seen = { records, exitCode, signal, overran, leftBehind: overran === null ? leftBehind : [] };
  return { ...judge(seen, allowedSkips), output, figures: readFigures(output), ms: performance.now() - begin };
}

/** For the wrapper's own end: no file survives it. */
export function killAll(): void {
  for (const leader of started) killGroup(leader);
}
