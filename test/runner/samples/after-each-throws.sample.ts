import { test } from 'uvu';
import * as assert from 'uvu/assert';

// uvu drops what an `after each` hook throws when the test itself failed, and the failure with it.
test.after.each(() => {
  throw new Error('cannot close');
});
test('bad', () => assert.ok(false));
test.run();
