import { suite, test } from 'uvu';
import * as assert from 'uvu/assert';

test('adds', () => assert.is(1 + 1, 2));
test('waits', async () => {
  await new Promise((resolve) => setTimeout(resolve, 10));
});
test.run();

const named = suite('named', { start: 1 });
named.before((context) => {
  context.start = 2;
});
named('sees what its hook made', (context) => assert.is(context.start, 2));
named.run();
