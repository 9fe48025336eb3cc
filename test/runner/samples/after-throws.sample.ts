import { test } from 'uvu';
import * as assert from 'uvu/assert';

test.after(() => {
  throw new Error('cannot close');
});
test('good', () => assert.ok(true));
test.run();
