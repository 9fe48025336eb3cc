import { test } from 'uvu';
import * as assert from 'uvu/assert';

test('good', () => assert.ok(true));
test.skip('left out', () => assert.ok(false));
test.run();
