// deadline: 3 s
import { test } from 'uvu';

test('never yields', () => {
  for (;;);
});
test.run();
