/**
 * Runs one benchmark as a process of its own.
 *
 *   npm run bench -- <name> [options of that benchmark]
 *
 * Without a name it lists them.
 */
import { spawn } from 'node:child_process';
import { globSync } from 'node:fs';
import { basename, join } from 'node:path';

/** Programs beside the benchmarks that are none. */
const OTHERS = ['draw', 'measure', 'options', 'report', 'run'];
const names = globSync('*.ts', { cwd: import.meta.dirname })
  .map((file) => basename(file, '.ts'))
  .filter((name) => !OTHERS.includes(name))
  .sort();

const [name, ...options] = process.argv.slice(2);
if (name === undefined) {
  console.log(`benchmarks: ${names.join(', ')}\nrun one: npm run bench -- <name>`);
} else if (!names.includes(name)) {
  console.error(`there is no benchmark ${name}: ${names.join(', ')}`);
  process.exitCode = 1;
} else {
  const child = spawn(process.execPath, [join(import.meta.dirname, `${name}.ts`), ...options], { stdio: 'inherit' });
  child.on('exit', (code, signal) => {
    process.exitCode = signal === null ? (code ?? 1) : 1;
  });
}
