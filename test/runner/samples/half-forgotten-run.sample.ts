import { test } from 'uvu';
import * as assert from 'uvu/assert';

test('run', () => assert.ok(true));
test.run();
test('never run', () => assert.ok(false));
