import { test } from 'uvu';
import * as assert from 'uvu/assert';

test('hidden', () => assert.ok(false));
test.only('shown', () => assert.ok(true));
test.run();
