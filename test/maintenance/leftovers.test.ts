/** What a backup or a restore leaves that is killed: told by the doctor, removed by the next one, and nothing else is. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { until } from '../support/until.ts';
import { emptyFolder, legacyInstallation, runOn, withDatabase } from './installation.ts';

const ENTRY = fileURLToPath(new URL('../../dist/redoubt.js', import.meta.url));
const DIGITS = '0123456789abcdef';

/** An installation whose database takes a while to be copied. */
function large(): string {
  const { data, database } = legacyInstallation();
  withDatabase(database, (db) => {
    const add = db.prepare("INSERT INTO Log (timestamp, type, params) VALUES (1, 'x', hex(randomblob(10000000)))");
    for (let i = 0; i < 4; i++) add.run();
  });
  return data;
}

/** Starts a command and stops it where it has written that much. */
async function stopped(data: string, args: string[], hasWritten: () => boolean): Promise<ChildProcess> {
  const env = { PATH: process.env.PATH ?? '', DATABASE_URL: `file:${join(data, 'nsecbunker.db')}` };
  const child = spawn(process.execPath, [ENTRY, ...args, '--data', data], { env, stdio: 'ignore' });
  await until('it has begun', () => hasWritten() || child.exitCode !== null);
  child.kill('SIGSTOP');
  assert.is(child.exitCode, null, 'it is at work');
  return child;
}

async function kill(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

const hidden = (data: string) => readdirSync(data).filter((name) => name.startsWith('.'));

async function told(data: string): Promise<string[]> {
  const { findings } = JSON.parse((await runOn(data, 'doctor', '--json')).out);
  return findings.find(({ name }: { name: string }) => name === 'leftovers')?.items.sort() ?? [];
}

test('a backup that was killed; while it runs it is left alone', async () => {
  const data = large();
  const archives = emptyFolder();
  const copied = () => hidden(data).some((name) => existsSync(join(data, name, 'nsecbunker.db')));
  const child = await stopped(data, ['backup', join(archives, 'a'), '--plain'], copied);
  const [folder] = hidden(data);
  assert.match(folder!, /^\.backup-[0-9a-f]{16}$/);
  try {
    assert.equal(await told(data), []);
    assert.is((await runOn(data, 'backup', join(archives, 'b'), '--plain')).code, 0);
    assert.equal(hidden(data), [folder]);
  } finally {
    await kill(child);
  }
  assert.equal(await told(data), [join(data, folder!)]);
  assert.is((await runOn(data, 'backup', join(archives, 'c'), '--plain', '--dry-run')).code, 0);
  assert.equal(hidden(data), [folder], 'a dry run removes nothing');
  assert.is((await runOn(data, 'backup', join(archives, 'c'), '--plain')).code, 0);
  assert.equal([hidden(data), await told(data)], [[], []]);
});

test('a restore that was killed, and what only looks like it', async () => {
  const data = large();
  const file = join(emptyFolder(), 'archive');
  assert.is((await runOn(data, 'backup', file, '--plain')).code, 0);
  const writes = () => hidden(data).some((name) => name.startsWith('.nsecbunker.db.restore-'));
  const child = await stopped(data, ['restore', file, '--force'], writes);
  const left = hidden(data);
  assert.is(left.length, 3, left.join(' '));
  try {
    assert.equal(await told(data), []);
  } finally {
    await kill(child);
  }
  assert.equal(
    await told(data),
    left.map((name) => join(data, name)),
  );

  const elsewhere = emptyFolder();
  writeFileSync(join(elsewhere, 'kept'), '');
  symlinkSync(elsewhere, join(data, `.backup-${DIGITS}`));
  writeFileSync(join(data, `.nsecbunker.db.restore-${DIGITS}`), '');
  mkdirSync(join(data, '.backup-notes'));
  writeFileSync(join(data, '.backup-notes', 'kept'), '');
  const { code, err } = await runOn(data, 'restore', file, '--force');
  assert.is(code, 0, err);
  assert.equal(hidden(data), [`.backup-${DIGITS}`, '.backup-notes', `.nsecbunker.db.restore-${DIGITS}`]);
  assert.equal([readdirSync(elsewhere), readdirSync(join(data, '.backup-notes'))], [['kept'], ['kept']]);
});

test.run();
