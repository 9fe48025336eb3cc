/** Run by memory.test.ts with --expose-gc: frees most of many blocks, and prints the resident bytes before and after. */
import { loadLibc } from '../../src/host/libc.ts';
import { giveFreePagesBack, giveMemoryBack } from '../../src/host/malloc.ts';

const BLOCKS = 4_000;
const BYTES = 32_768;
/** One block in so many stays. */
const KEPT = 20;

const libc = loadLibc();
giveMemoryBack(libc);
let blocks = Array.from({ length: BLOCKS }, () => Buffer.alloc(BYTES, 1));
blocks = blocks.filter((_, i) => i % KEPT === 0);
for (let i = 0; i < 2; i++) {
  await globalThis.gc!({ execution: 'async' });
  await new Promise((resolve) => setTimeout(resolve, 200));
}
const before = process.memoryUsage.rss();
giveFreePagesBack(libc);
console.log(JSON.stringify({ before, after: process.memoryUsage.rss(), kept: blocks.length * BYTES }));
