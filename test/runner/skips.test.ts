import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { allowedSkips } from './skips.ts';

test('what a machine lacks may be skipped there, and nowhere else', () => {
  const listed = {
    'a.test.ts': {
      always: 'a reason',
      'needs a shell': { reason: 'no shell', without: 'sh' },
      'needs a unicorn': { reason: 'no unicorn', without: 'unicorn-that-nobody-has' },
    },
  };
  assert.equal(allowedSkips(listed), { 'a.test.ts': { always: 'a reason', 'needs a unicorn': 'no unicorn' } });
});

test.run();
