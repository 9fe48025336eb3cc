import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { loadLibc } from '../../src/host/libc.ts';
import { giveMemoryBack } from '../../src/host/malloc.ts';

const CHILD = fileURLToPath(new URL('memory-child.ts', import.meta.url));
const MALLOC_CHILD = fileURLToPath(new URL('malloc-child.ts', import.meta.url));
const MIB = 2 ** 20;

/** Of a thread with 14 MiB of live objects and 3 MiB of young generation. */
function heap(nodeArgs: string[], args: string[] = []): { live: number; most: number; young: number; views: number } {
  return JSON.parse(execFileSync(process.execPath, [...nodeArgs, CHILD, ...args], { encoding: 'utf8' }));
}

test('a heap does not grow to several times of what lives in it', () => {
  const { live, most } = heap([]);
  const asItIs = heap([], ['--as-it-is']);
  assert.ok(most < 3 * live, `${most / live} times`);
  assert.ok(asItIs.most > 3 * asItIs.live, 'V8 does not do it by itself');
});

test("the process's own young generation does not take the place of a thread's", () => {
  const large = ['--max-semi-space-size=16'];
  assert.ok(heap(large).young < 12 * MIB);
  assert.ok(heap(large, ['--as-it-is']).young > 16 * MIB, 'V8 does not do it by itself');
});

test("a thread has no view of its own of V8's built-in functions", () => {
  assert.ok(heap([]).views < heap([], ['--as-it-is']).views);
});

test('glibc takes each option, and where there is another C library nothing happens', () => {
  const libc = loadLibc();
  const taken: number[] = [];
  const mallopt = (option: number, value: number) => {
    taken.push(libc!.mallopt!(option, value));
    return 1;
  };
  giveMemoryBack(libc?.mallopt === undefined ? libc : { ...libc, mallopt });
  assert.equal(taken, libc?.mallopt === undefined ? [] : [1, 1, 1]);
});

test('glibc gives free pages back that lie between blocks in use', () => {
  if (loadLibc()?.malloc_trim === undefined) return;
  const out = execFileSync(process.execPath, ['--expose-gc', MALLOC_CHILD], { encoding: 'utf8' });
  const { before, after } = JSON.parse(out) as { before: number; after: number };
  assert.ok(before - after > 64 * MIB, `${(before - after) / MIB} MiB of 119`);
});

test.run();
