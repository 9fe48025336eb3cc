/**
 * Writes docs/PERFORMANCE.md from bench/results/*.json.
 *
 *   npm run bench:report
 */
import { copyFileSync, globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { RESULTS, type Result, table } from './measure.ts';

const DOCUMENT = join(import.meta.dirname, '..', 'docs', 'PERFORMANCE.md');
const PICTURES = join(DOCUMENT, '..', 'performance');
const INTRODUCTION = `# Performance

Written by \`npm run bench:report\` from the last run of each benchmark and from bench/findings.md: change those, not this file.

Machines are shared and noisy, so no figure here is an absolute promise. What is compared was measured in one run, in
turn (A B A B); figures are the median, with the smallest and the largest behind it. CPU is user and system time of
the measured process alone. \`npm run bench\` lists the benchmarks; the head of each program says what it does.
A load average well above 0 says that others were using the machine: wall time and latency are then as much theirs.
`;

const results = globSync('*.json', { cwd: RESULTS })
  .sort()
  .map((file) => JSON.parse(readFileSync(join(RESULTS, file), 'utf8')) as Result);
const sections = results.map(
  ({ name, what, machine, node, date, load, rows, notes = [], pictures = [] }) =>
    `## ${name}\n\n${what}. Again: \`npm run bench -- ${name}\`\n\n${table(rows)}\n\n${list(notes)}${show(name, pictures)}${machine}, Node ${node}, ${date}${load === undefined ? '' : `, load average ${load} before`}.\n`,
);
if (results.length === 0) {
  console.error('no results yet: npm run bench -- <name>');
  process.exitCode = 1;
} else {
  const findings = readFileSync(join(import.meta.dirname, 'findings.md'), 'utf8');
  writeFileSync(DOCUMENT, `${INTRODUCTION}\n${findings}${sections.join('\n')}`);
  console.log(`written to ${DOCUMENT}`);
}

/** Pictures are copied beside the document. */
function show(name: string, pictures: string[]): string {
  return pictures
    .map((picture) => {
      const file = `${name}-${picture}.svg`;
      mkdirSync(PICTURES, { recursive: true });
      copyFileSync(join(RESULTS, file), join(PICTURES, file));
      return `![${name}: ${picture}](performance/${file})\n\n`;
    })
    .join('');
}

function list(notes: string[]): string {
  return notes.length === 0 ? '' : `${notes.map((note) => `- ${note}`).join('\n')}\n\n`;
}
