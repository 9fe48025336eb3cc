import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { takeLock } from '../../src/lock.ts';
import { isRunning, processIdentity } from '../../src/process-identity.ts';

const CONTENDER = join(import.meta.dirname, 'contender.ts');

interface Contender {
  child: ChildProcess;
  pid: number;
  outcomes: string[];
}

let folder = '';
const children: ChildProcess[] = [];

test.before.each(() => {
  folder = mkdtempSync(join(tmpdir(), 'redoubt-lock-'));
});
test.after.each(async () => {
  await Promise.all(children.splice(0).map((child) => end(child, 'SIGKILL')));
  rmSync(folder, { recursive: true });
});

async function contend(folders: string[], at = 0): Promise<Contender> {
  const child = spawn(process.execPath, [CONTENDER, String(at), ...folders], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  const [line] = (await once(child.stdout as NonNullable<typeof child.stdout>, 'data')) as [Buffer];
  return { child, pid: child.pid as number, outcomes: JSON.parse(String(line)) as string[] };
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill(signal);
  await exit;
}

const lockFile = () => join(folder, 'redoubt.lock');

test('a second start is refused and told who runs', async () => {
  const first = await contend([folder]);
  assert.equal(first.outcomes, ['taken']);
  const second = takeLock(folder);
  assert.ok(!second.ok);
  assert.is(
    second.refusal,
    `another redoubt (process ${first.pid}) runs on ${folder}: stop it first, or name another folder with --data`,
  );
  assert.is((JSON.parse(readFileSync(lockFile(), 'utf8')) as { pid: number }).pid, first.pid);
});

test('the same process cannot take it twice', () => {
  const lock = takeLock(folder);
  assert.ok(lock.ok);
  assert.not(takeLock(folder).ok);
  lock.release();
  assert.equal(readdirSync(folder), []);
});

test('it is released at exit', async () => {
  const first = await contend([folder]);
  await end(first.child, 'SIGTERM');
  assert.equal(readdirSync(folder), []);
});

test('after kill -9 it is taken over', async () => {
  const first = await contend([folder]);
  await end(first.child, 'SIGKILL');
  assert.ok(existsSync(lockFile()));
  const lock = takeLock(folder);
  assert.ok(lock.ok);
  assert.equal(readdirSync(folder), ['redoubt.lock']);
  lock.release();
});

test('a running process with the same id is not taken for the daemon', async () => {
  const other = await contend([]);
  const id = 'an-earlier-process';
  writeFileSync(lockFile(), JSON.stringify({ ...processIdentity(other.pid), started: 'another boot/1', id }));
  const lock = takeLock(folder);
  assert.ok(lock.ok);
  lock.release();
});

test('where the start is not known a running process keeps it', async () => {
  const other = await contend([]);
  writeFileSync(lockFile(), JSON.stringify({ pid: other.pid, started: null, id: 'x' }));
  assert.not(takeLock(folder).ok);
});

for (const text of ['', '\0\0\0\0', '{"pid":"x"}', '{"pid":1,"id":"../../x"}', 'null']) {
  test(`a lock file that holds ${JSON.stringify(text)} is replaced`, () => {
    writeFileSync(lockFile(), text);
    const lock = takeLock(folder);
    assert.ok(lock.ok);
    lock.release();
    assert.equal(readdirSync(folder), []);
  });
}

test('one that died while it took over is passed over', async () => {
  const dead = await contend([folder]);
  await end(dead.child, 'SIGKILL');
  const { id } = JSON.parse(readFileSync(lockFile(), 'utf8')) as { id: string };
  const next = { pid: dead.pid, started: 'gone', id: 'died-in-between' };
  writeFileSync(`${lockFile()}.${id}.next`, JSON.stringify(next));
  const lock = takeLock(folder);
  assert.ok(lock.ok);
  assert.equal(readdirSync(folder), ['redoubt.lock']);
  lock.release();
});

test('a release leaves the lock of another alone', () => {
  const lock = takeLock(folder);
  assert.ok(lock.ok);
  const other = JSON.stringify({ ...processIdentity(process.pid), id: 'other' });
  writeFileSync(lockFile(), other);
  lock.release();
  assert.is(readFileSync(lockFile(), 'utf8'), other);
});

test('of those that race for the lock of a dead one exactly one gets it', async () => {
  const dead = await contend([folder]);
  await end(dead.child, 'SIGKILL');
  const text = readFileSync(lockFile(), 'utf8');
  const rounds = Array.from({ length: 50 }, (_, i) => join(folder, String(i)));
  for (const round of rounds) {
    mkdirSync(round);
    writeFileSync(join(round, 'redoubt.lock'), text);
  }
  const at = Date.now() + 600;
  const contenders = await Promise.all([1, 2, 3, 4].map(() => contend(rounds, at)));
  for (const [i, round] of rounds.entries()) {
    const winners = contenders.filter(({ outcomes }) => outcomes[i] === 'taken');
    assert.is(winners.length, 1, `round ${i}: ${JSON.stringify(contenders.map(({ outcomes }) => outcomes[i]))}`);
    const holder = JSON.parse(readFileSync(join(round, 'redoubt.lock'), 'utf8')) as { pid: number };
    assert.is(holder.pid, winners[0]?.pid);
    assert.equal(readdirSync(round), ['redoubt.lock']);
  }
});

test('a folder that is not there is refused', () => {
  const result = takeLock(join(folder, 'missing'));
  assert.ok(!result.ok);
  assert.match(result.refusal, /redoubt\.lock: cannot be made \(ENOENT\): see to the folder/);
});

test('a process that ended and was not collected does not run', async () => {
  // `sh` starts a process, becomes `sleep` before that ends, and so never collects it.
  const parent = spawn('sh', ['-c', 'sleep 0.2 & echo $!; exec sleep 30'], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(parent);
  const [line] = (await once(parent.stdout, 'data')) as [Buffer];
  const pid = Number(String(line));
  while (isRunning({ pid, started: null })) await new Promise((resolve) => setTimeout(resolve, 10));
  assert.not.throws(() => process.kill(pid, 0), 'it is still in the process table');
  assert.ok(isRunning({ pid: process.pid, started: null }));
});
test.run();
