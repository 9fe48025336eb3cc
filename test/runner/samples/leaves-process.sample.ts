import { spawn } from 'node:child_process';
import { test } from 'uvu';

test('forgets its child', () => {
  spawn('sleep', ['60'], { stdio: 'ignore' }).unref();
});
test.run();
