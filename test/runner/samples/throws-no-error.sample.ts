import { test } from 'uvu';
import * as assert from 'uvu/assert';

test('throws text', () => {
  throw 'out of order';
});
test('comes after it', () => assert.ok(true));
test.run();
