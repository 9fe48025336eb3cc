import { test } from 'uvu';
import * as assert from 'uvu/assert';

test('waits for nothing', () => new Promise(() => {}));
test('comes after it', () => assert.ok(true));
test.run();
