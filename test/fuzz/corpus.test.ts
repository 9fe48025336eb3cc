/**
 * The saved corpus: inputs that were worth keeping, with what becomes of each. What fuzzing finds is added there, under
 * `found` with a word on what it did.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { check, type Input, slug } from './layer.ts';
import { LAYERS } from './layers/index.ts';

interface Saved {
  /** Text, or bytes in base64. */
  input: string | { base64: string };
  /** `accepted`, or the refusal. */
  outcome: string;
  found?: string;
}

const folder = join(import.meta.dirname, 'corpus');
const figures = { corpus: 0, crashes: 0 };

for (const file of readdirSync(folder).sort()) {
  const name = file.replace(/\.json$/, '');
  test(name, () => {
    const layer = LAYERS.find((layer) => slug(layer.name) === name);
    assert.ok(layer, `no layer is called ${name}`);
    const saved = JSON.parse(readFileSync(join(folder, file), 'utf8')) as Saved[];
    for (const { input, outcome, found } of saved) {
      const given: Input = typeof input === 'string' ? input : Buffer.from(input.base64, 'base64');
      assert.is(check(layer, given).outcome, outcome, found ?? JSON.stringify(input));
      figures.corpus++;
    }
  });
}

test('each layer has a corpus', () => {
  const files = readdirSync(folder);
  for (const { name } of LAYERS) assert.ok(files.includes(`${slug(name)}.json`), name);
});

test.after(() => console.log(`R11 ${JSON.stringify(figures)}`));

test.run();
