import { test } from 'uvu';
import * as assert from 'uvu/assert';

test('good', () => assert.ok(true));
test.run();
process.on('exit', () => {
  process.exitCode = 3;
});
