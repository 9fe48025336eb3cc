/** Standard output that nobody reads, and one that takes nothing. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { TestDaemon } from '../support/daemon.ts';

const ENTRY = fileURLToPath(new URL('../../dist/redoubt.js', import.meta.url));
const daemon = new TestDaemon({ env: { REDOUBT_KEYSTORE_LOG_N: '14' } });

test.before(async () => {
  await daemon.start();
});
test.after(() => daemon.remove());

/** With a descriptor as its standard output, or with a pipe whose other end is closed. */
async function run(args: string[], stdout: number | 'closed') {
  const child = spawn(process.execPath, [ENTRY, ...args], {
    env: { PATH: process.env.PATH ?? '', REDOUBT_DATA: daemon.data },
    stdio: ['ignore', stdout === 'closed' ? 'pipe' : stdout, 'pipe'],
  });
  child.stdout?.destroy();
  let stderr = '';
  child.stderr!.on('data', (chunk) => {
    stderr += chunk;
  });
  const [code] = await once(child, 'close');
  return { code, stderr };
}

const COMMANDS = [
  ['--help'],
  ['status'],
  ['key', 'list', '--json'],
  ['top', '--interval', '0.1', '--count', '100000'],
  ['config', 'show'],
  ['audit', 'export'],
  ['key', 'export', 'demo', '--passphrase-file', join(daemon.data, 'passphrase')],
];

test('whoever closes the pipe has read enough: nothing is said', async () => {
  for (const args of COMMANDS) assert.equal(await run(args, 'closed'), { code: 0, stderr: '' }, args.join(' '));
});

test('a full disk fails the command, in one line', async () => {
  const full = openSync('/dev/full', 'w');
  const stderr = 'redoubt: standard output cannot be written (ENOSPC)\n';
  for (const args of COMMANDS) assert.equal(await run(args, full), { code: 1, stderr }, args.join(' '));
  closeSync(full);
});

test.run();
