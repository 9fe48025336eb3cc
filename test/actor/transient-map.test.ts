/** A Map in what it holds and in which order, and nothing of what has left it outlives the next young collection. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { TransientMap } from '../../src/actor/transient-map.ts';

test('it holds what a Map holds, in the same order', () => {
  const step = fc.record({ what: fc.constantFrom('set', 'set', 'delete', 'delete', 'clear'), key: fc.nat(12) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400, size: 'max' }), (steps) => {
      const map = new Map<number, number>();
      const ours = new TransientMap<number, number>();
      for (const [i, { what, key }] of steps.entries()) {
        if (what === 'set') for (const one of [map, ours]) one.set(key, i);
        else if (what === 'delete') assert.is(ours.delete(key), map.delete(key));
        else if (i % 50 === 0) for (const one of [map, ours]) one.clear();
        assert.is(ours.get(key), map.get(key));
      }
      assert.is(ours.size, map.size);
      assert.equal([...ours], [...map]);
      assert.equal([...ours.keys()], [...map.keys()]);
      assert.equal([...ours.values()], [...map.values()]);
    }),
  );
});

test('entries may be removed while they are gone through', () => {
  const map = new TransientMap<number, string>();
  for (let i = 0; i < 1000; i++) map.set(i, `${i}`);
  const seen: number[] = [];
  for (const [key] of map) {
    seen.push(key);
    map.delete(key);
    map.delete(key + 1);
  }
  assert.equal(
    seen,
    Array.from({ length: 500 }, (_, i) => 2 * i),
  );
  assert.is(map.size, 0);
});

test('after a full collection what has left a Map stays in the old generation, and what has left this one does not', async () => {
  const [plain, transient] = await Promise.all([grownBy('Map'), grownBy('TransientMap')]);
  // When this fails for the Map, V8 has learnt it, and there is no more need for this class.
  assert.ok(plain > 4_000_000, `a Map: ${plain} bytes`);
  assert.ok(transient < plain / 4, `${transient} bytes, where a Map's are ${plain}`);
});

async function grownBy(map: string): Promise<number> {
  const churn = new URL('./churn.ts', import.meta.url);
  const worker = new Worker(churn, { workerData: map, resourceLimits: { maxYoungGenerationSizeMb: 3 } });
  const [grown] = (await once(worker, 'message')) as [number];
  await worker.terminate();
  return grown;
}

test.run();
