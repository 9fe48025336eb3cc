// deadline: 1200 s
// runs alone
/** Every promise that is broken on purpose is noticed by a test. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { MUTATIONS } from './mutations.ts';
import { checkMutations } from './run.ts';

test(`${MUTATIONS.length} ways to break a promise are noticed`, () => {
  assert.equal(checkMutations(MUTATIONS).survivors, []);
});

test.run();
