/** Files that are there and cannot be read; links to themselves stand in for them, which root cannot read either. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Finding } from '../../src/maintenance/doctor/finding.ts';
import { runCli } from '../support/cli.ts';
import { runMain } from './run.ts';

let data: string;
test.before.each(() => {
  data = mkdtempSync(join(tmpdir(), 'redoubt-unreadable-'));
  writeFileSync(join(data, 'nsecbunker.json'), JSON.stringify({ admin: { key: '11'.repeat(32) } }), { mode: 0o600 });
});
test.after.each(() => rmSync(data, { recursive: true, force: true }));

function makeUnreadable(path: string): void {
  rmSync(path, { recursive: true, force: true });
  symlinkSync(path, path);
}

test('the lock: doctor finds it broken, and does not say that no daemon runs', async () => {
  const lock = join(data, 'redoubt.lock');
  makeUnreadable(lock);
  const { code, out, err } = await runMain(['doctor', '--data', data, '--json']);
  assert.equal([code, err], [2, '']);
  const found = (JSON.parse(out).findings as Finding[]).find(({ name }) => name === 'unreadable');
  assert.match(found!.message, `${lock}: open: too many symbolic links encountered (ELOOP)`);
  assert.match((await runMain(['doctor', '--data', data])).out, /^daemon {4}unknown$/m);
  const restore = await runMain(['restore', join(data, 'archive'), '--dry-run', '--data', data]);
  assert.equal([restore.code, restore.out], [1, '']);
  assert.match(restore.err, /^redoubt: .*redoubt\.lock: open: .*\(ELOOP\)\n$/);
});

test('the keystore: doctor finds it broken, and other commands say so in a line', async () => {
  writeFileSync(join(data, 'keystore'), 'no folder');
  const { code, out } = await runMain(['doctor', '--data', data, '--json']);
  assert.is(code, 2);
  assert.ok((JSON.parse(out).findings as Finding[]).some(({ name }) => name === 'unreadable'));
  for (const args of [
    ['key', 'export', 'k'],
    ['migrate', '--check'],
  ]) {
    const ran = await runMain([...args, '--data', data]);
    assert.is(ran.code, 1);
    assert.match(ran.err, /^redoubt: .*keystore: scandir: not a directory \(ENOTDIR\)\n$/);
  }
});

test('connection.txt or its folder: nobody says that no daemon was ever started', async () => {
  const connection = join(data, 'connection.txt');
  const err = `redoubt: ${connection} cannot be read (ELOOP): see to its owner and mode\n`;
  makeUnreadable(connection);
  assert.equal(await runMain(['status', '--data', data]), { code: 78, out: '', err });
  makeUnreadable(data);
  assert.equal(await runMain(['status', '--data', data]), { code: 78, out: '', err });
});

test('the configuration: start does not say that it is missing', async () => {
  makeUnreadable(join(data, 'nsecbunker.json'));
  const { code, stderr } = await runCli(['start', '--data', data]);
  assert.is(code, 78);
  assert.match(stderr, 'nsecbunker.json: the configuration file cannot be read (ELOOP)');
});

test('the data folder: start names it', async () => {
  makeUnreadable(data);
  const { code, stderr } = await runCli(['start', '--data', data]);
  assert.is(code, 1);
  assert.match(stderr, `redoubt: ${join(data, 'redoubt.lock')}: cannot be made (ELOOP): see to the folder`);
});

test('a folder that was never used', async () => {
  mkdirSync(join(data, 'new'));
  const { code, err } = await runMain(['status', '--data', join(data, 'new')]);
  assert.is(code, 78);
  assert.match(err, 'no daemon was ever started');
});

test.run();
