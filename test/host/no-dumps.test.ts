/** The daemon's memory does not reach the disk by a crash. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';

/** Runs `refuseDumps` in a process of its own under this limit. */
function underLimit(limit: string, libc: 'loadLibc' | 'none'): string {
  const program = `
    import { loadLibc } from ${JSON.stringify(new URL('../../src/host/libc.ts', import.meta.url).href)};
    import { refuseDumps } from ${JSON.stringify(new URL('../../src/host/no-dumps.ts', import.meta.url).href)};
    process.report.reportOnFatalError = true;
    const told = refuseDumps(${libc === 'none' ? 'null' : 'loadLibc()'});
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
    refuseDumps(loadLibc());
    console.log(before === process.getuid(), statSync('/proc/self/environ').uid);`;
  const args = ['--input-type=module-typescript', '-e', program];
  assert.is(execFileSync(process.execPath, args, { encoding: 'utf8' }).trim(), 'true 0');
});

/** What a crash leaves in the folder that it happens in, with the core limit as high as it goes. */
function crash(refuse: boolean): { files: string[]; dumped: boolean } {
  const folder = mkdtempSync(join(tmpdir(), 'redoubt-core-'));
  const program = `
    import { loadLibc } from ${JSON.stringify(new URL('../../src/host/libc.ts', import.meta.url).href)};
    import { refuseDumps } from ${JSON.stringify(new URL('../../src/host/no-dumps.ts', import.meta.url).href)};
    if (${refuse}) refuseDumps(loadLibc());
    process.kill(process.pid, 'SIGSEGV');`;
  // The shell reads from the exit status whether the kernel has dumped it.
  const shell = 'ulimit -S -c "$(ulimit -H -c)"; "$0" --input-type=module-typescript -e "$1"; exit 0';
  try {
    const { stderr } = spawnSync('bash', ['-c', shell, process.execPath, program], { cwd: folder, encoding: 'utf8' });
    assert.match(stderr, 'Segmentation fault');
    return { files: readdirSync(folder), dumped: stderr.includes('core dumped') };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test('a crash leaves no core, however high the limit, where another process would have left one', () => {
  assert.equal(crash(true), { files: [], dumped: false });
  // False where the kernel is told to write none at all, or hands them to a program that declines.
  const { dumped: otherwise } = crash(false);
  console.log(`R3 ${JSON.stringify({ cores: 0, coresWithoutOurDoing: otherwise ? 1 : 0 })}`);
});

test.run();
