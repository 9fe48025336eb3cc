/** What the machine does not do ends a command with one line. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { faultLine } from '../../src/cli/fault-line.ts';

test('a full disk and a locked database are told; a bug of ours keeps its stack', () => {
  const full = Object.assign(new Error('x'), { code: 'ENOSPC', errno: -28, syscall: 'write' });
  assert.is(faultLine(full), 'write: no space left on device (ENOSPC)');
  const constraint = Object.assign(new Error('a value'), { code: 'SQLITE_CONSTRAINT_UNIQUE' });
  assert.is(faultLine(constraint), 'the database: it was refused (SQLITE_CONSTRAINT_UNIQUE)');
  for (const bug of [new TypeError('x'), Object.assign(new TypeError('x'), { code: 'ERR_INVALID_ARG_TYPE' }), null]) {
    assert.is(faultLine(bug), null);
  }
});

test.run();
