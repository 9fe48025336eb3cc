/**
 * Every layer that takes bytes from outside, by its public function: it refuses with its own words or accepts, throws
 * nothing, agrees with a slow reading of the protocol, and says no secret.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { fuzz, SCALE } from './layer.ts';
import { LAYERS } from './layers/index.ts';

const CASES = Number(process.env.REDOUBT_FUZZ_CASES ?? 2_000) * SCALE;
const figures: Record<string, { accepted: number; refused: number; refusals: number }> = {};

for (const layer of LAYERS) {
  test(`${layer.name}: ${CASES} inputs`, () => {
    const { accepted, refused } = fuzz(layer, CASES);
    assert.ok(accepted > 0, 'nothing is accepted: the inputs are no longer valid ones, changed');
    figures[layer.name] = { accepted, refused: CASES - accepted, refusals: Object.keys(refused).length };
  });
}

test.after(() => {
  console.log(
    `R11 R2 ${JSON.stringify({ cases: CASES * LAYERS.length, crashes: 0, secretsSaid: 0, layers: figures })}`,
  );
});

test.run();
