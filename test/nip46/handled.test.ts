import { createHash } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Handled } from '../../src/nip46/handled.ts';

const id = (n: number) => createHash('sha256').update(String(n)).digest('hex');

test('the last 4,096 ids are known, and older ones forgotten', () => {
  const handled = new Handled(7);
  for (let n = 0; n < 20_000; n++) {
    assert.not(handled.has(id(n)));
    handled.add(id(n));
  }
  for (let n = 20_000 - 4096; n < 20_000; n++) assert.ok(handled.has(id(n)));
  for (let n = 0; n < 20_000 - 8192; n++) assert.not(handled.has(id(n)));
});

test.run();
