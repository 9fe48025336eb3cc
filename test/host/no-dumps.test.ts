/** The daemon's memory does not reach the disk by a crash. */
import { execFileSync } from 'node:child_process';
import { test } from 'uvu';
import * as assert from 'uvu/assert';

/** Runs `refuseDumps` in a process of its own under this limit. */
function underLimit(limit: string, libc: 'loadLibc' | 'none'): string {
  const program = `
    import { loadLibc } from ${JSON.stringify(new URL('../../src/host/libc.ts', import.meta.url).href)};
    import { refuseDumps } from ${JSON.stringify(new URL('../../src/host/no-dumps.ts', import.meta.url).href)};
    process.report.reportOnFatalError = true;
    const told = refuseDumps(${libc === 'none' ? '() => null' : 'loadLibc'});
    console.log(JSON.stringify({ told, reports: process.report.reportOnFatalError }));`;
  const shell = `ulimit -S -c ${limit} && exec "$0" --input-type=module-typescript -e "$1"`;
  return execFileSync('bash', ['-c', shell, process.execPath, program], { encoding: 'utf8' });
}

test('a core limit that is not 0 is warned of, and harmless where the process can be made undumpable', () => {
  assert.match(underLimit('0', 'loadLibc'), '{"told":null,"reports":false}');
  assert.match(underLimit('1000', 'loadLibc'), 'has made itself undumpable');
  assert.match(underLimit('1000', 'none'), 'a crash would write keys to the disk');
});

test('as another user its files in /proc belong to root', () => {
  const program = `
    import { loadLibc } from ${JSON.stringify(new URL('../../src/host/libc.ts', import.meta.url).href)};
    import { refuseDumps } from ${JSON.stringify(new URL('../../src/host/no-dumps.ts', import.meta.url).href)};
    import { statSync } from 'node:fs';
    if (process.getuid() === 0) {
      process.setgroups([]);
      process.setgid(65534);
      process.setuid(65534);
    }
    const { prctl } = loadLibc();
    prctl(4, 1);
    const before = statSync('/proc/self/environ').uid;
    refuseDumps(loadLibc);
    console.log(before === process.getuid(), statSync('/proc/self/environ').uid);`;
  const args = ['--input-type=module-typescript', '-e', program];
  assert.is(execFileSync(process.execPath, args, { encoding: 'utf8' }).trim(), 'true 0');
});

test.run();
