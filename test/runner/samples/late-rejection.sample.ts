import { test } from 'uvu';
import * as assert from 'uvu/assert';

test('does not wait for its work', () => {
  setTimeout(() => void Promise.reject(new Error('too late')), 30);
  assert.ok(true);
});
test.run();
