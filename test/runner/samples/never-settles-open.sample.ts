// deadline: 4 s
import { test } from 'uvu';

test('waits beside a timer', async () => {
  setInterval(() => {}, 1000);
  await new Promise(() => {});
});
test.run();
