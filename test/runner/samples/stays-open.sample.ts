import { test } from 'uvu';

test('forgets its timer', () => {
  setInterval(() => {}, 1000);
});
test.run();
