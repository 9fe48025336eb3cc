import { test } from 'uvu';
import * as assert from 'uvu/assert';

test('good', () => assert.ok(true));
test('bad', () => assert.is(1, 2, 'one is not two'));
test.run();
