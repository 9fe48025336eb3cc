import { test } from 'uvu';
import * as assert from 'uvu/assert';

test.before(() => {
  throw new Error('no database');
});
test('never reached', () => assert.ok(true));
test.run();
