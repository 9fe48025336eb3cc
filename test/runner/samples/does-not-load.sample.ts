import { test } from 'uvu';

test('never reached', () => {});
throw new Error('while loading');
