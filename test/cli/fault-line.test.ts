/** What the machine does not do ends a command with one line. */
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { faultLine } from '../../src/cli/fault-line.ts';
import { FIXTURES } from '../store/folder.ts';
import { runCli } from '../support/cli.ts';

const folder = mkdtempSync(join(tmpdir(), 'redoubt-fault-line-'));
test.after(() => rmSync(folder, { recursive: true, force: true }));

test('commands on a keystore that cannot be read', async () => {
  const data = join(folder, 'data');
  cpSync(join(FIXTURES, 'legacy-0.10.5'), data, { recursive: true });
  const database = join(data, 'nsecbunker.db');
  // Root may read any folder, but none that is a file.
  const keystore = join(folder, 'keystore');
  writeFileSync(keystore, '');
  const env = { DATABASE_URL: `file:${database}`, REDOUBT_KEYSTORE_DIR: keystore };
  for (const args of [['migrate', '--check'], ['key', 'export', 'one'], ['doctor']]) {
    const { code, stderr } = await runCli([...args, '--config', join(data, 'nsecbunker.json')], { env });
    assert.is(code, 1, args[0]);
    assert.is(stderr, `redoubt: ${keystore}: scandir: not a directory (ENOTDIR)\n`);
  }
});

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
