/** Holds much, replaces it bit by bit, and tells how large its heap was, and how often Node's code is mapped. */
import { readFileSync } from 'node:fs';
import { getHeapSpaceStatistics, getHeapStatistics } from 'node:v8';
import { parentPort } from 'node:worker_threads';

const HELD = 10_000;
const ROUNDS = 60;

const make = (i: number) => ({ text: `item ${i} `.repeat(8), parts: Array.from({ length: 40 }, (_, j) => i + j) });
const held = Array.from({ length: HELD }, (_, i) => make(i));
const maps = readFileSync('/proc/self/maps', 'utf8').split('\n');
const views = maps.filter((line) => line.includes(' r-xp ') && line.endsWith(process.execPath)).length;
/** Bytes, but for the views. */
const figures = { live: getHeapStatistics().used_heap_size, most: 0, young: 0, views };
for (let i = 0; i < ROUNDS * HELD; i++) {
  held[i % HELD] = make(i);
  if (i % 1000 !== 0) continue;
  figures.most = Math.max(figures.most, getHeapStatistics().used_heap_size);
  const young = getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space')!;
  figures.young = Math.max(figures.young, young.space_size);
}
parentPort!.postMessage(figures);
