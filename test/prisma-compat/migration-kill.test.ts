// deadline: 120 s
/**
 * kill -9 at random moments while a file of nsecbunkerd is adopted: afterwards it can be started, and rolled back to
 * what it was. And before each of its statements, one after the other. `REDOUBT_KILLS` raises the number of kills.
 */
import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { copyPath } from '../../src/store/copy-aside.ts';
import { inspectDatabase } from '../../src/store/inspect.ts';
import { MIGRATION_NAMES } from '../../src/store/migration-names.ts';
import { openStore } from '../../src/store/open.ts';
import { FIXTURES } from '../store/folder.ts';
import { type Dump, dump } from './releases.ts';

const KILLS = Number(process.env.REDOUBT_KILLS ?? 6);
const CHILD = join(import.meta.dirname, 'migration-child.ts');
const STATEMENTS = join(import.meta.dirname, 'statement-child.ts');
const fixture = join(FIXTURES, 'legacy-0.10.5', 'nsecbunker.db');
const original = dump(fixture);

type End = 'killed' | 'adopted';

/** Lets a process adopt the file and kills it after so many ms; how long it took when it was not. */
async function run(path: string, killAfter: number | null): Promise<{ end: End; ms: number }> {
  const child = fork(CHILD, [path], { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] });
  let text = '';
  const exited = once(child, 'exit');
  await new Promise<void>((resolve) => {
    child.stdout!.on('data', (chunk: Buffer) => {
      text += chunk;
      if (text.includes('ready')) resolve();
    });
  });
  const closed = once(child.stdout!, 'end');
  const start = performance.now();
  child.send('go');
  const timer = killAfter === null ? undefined : setTimeout(() => child.kill('SIGKILL'), killAfter);
  const [code] = await exited;
  clearTimeout(timer);
  await closed;
  const said = text.split('\n')[1] ?? '';
  assert.ok(said === '' || said === 'adopted', said);
  return { end: code === 0 ? 'adopted' : 'killed', ms: performance.now() - start };
}

/** nsecbunkerd's rows, without what Redoubt added to them. */
function theirs(rows: Dump): unknown {
  return Object.entries(original).map(([table, before]) =>
    before.map((row, i) => Object.keys(row).map((column) => rows[table]?.[i]?.[column])),
  );
}

function intact(path: string): void {
  const db = new Database(path);
  try {
    assert.is(db.pragma('integrity_check', { simple: true }), 'ok');
  } finally {
    db.close();
  }
  assert.equal(theirs(dump(path)), theirs(original));
}

test(`${KILLS} kills while a file is adopted: it starts, and it can be rolled back`, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'redoubt-migration-'));
  const seen = new Map<string, number>();
  try {
    const fresh = () => {
      const path = join(mkdtempSync(join(folder, 'x')), 'nsecbunker.db');
      copyFileSync(fixture, path);
      return path;
    };
    // Where the kills aim at: it follows the moments at which something is half done.
    let aim = (await run(fresh(), null)).ms / 2;
    for (let kill = 0; kill < KILLS; kill++) {
      const path = fresh();
      await run(path, aim * (0.5 + Math.random()));
      const found = inspectDatabase(path);
      assert.ok(found.ok, 'ok' in found && !found.ok ? found.refusal : '');
      const state =
        found.ok && found.state === 'ours' ? `${found.applied.length} migrations` : found.ok ? found.state : '';
      const copied = existsSync(copyPath(path));
      if (found.ok && found.state === 'ours' && found.applied.length === MIGRATION_NAMES.length) aim *= 0.85;
      else if (!copied) aim *= 1.15;
      const left = copied ? `${state} and a copy` : state;
      seen.set(left, (seen.get(left) ?? 0) + 1);
      // The way back: the copy once anything was migrated; before, the file itself.
      if (copied) assert.equal(dump(copyPath(path)), original);
      else assert.is(found.ok && found.state, 'adoptable');
      intact(path);
      // The way on, killed once more in every second round.
      if (kill % 2 === 1) await run(path, aim * (0.5 + Math.random()));
      const opened = await openStore({ databasePath: path, keysInKeystore: 5, allowEmptyDatabase: false });
      if (!opened.ok) throw new Error(opened.refusal);
      await opened.store.orm.close(true);
      intact(path);
      assert.equal(dump(copyPath(path)), original);
      assert.not(existsSync(copyPath(path, 2)), 'one copy of one content');
      rmSync(join(path, '..'), { recursive: true });
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  const found = Object.fromEntries([...seen].sort());
  console.log(
    `R21 ${JSON.stringify({ what: 'killed while a database is adopted', kills: KILLS, started: KILLS, found })}`,
  );
});

/** Adopts the file, killed before its nth statement; null when it was, else how many statements there are. */
async function adoptUntil(path: string, statement: number): Promise<number | null> {
  const child = spawn(process.execPath, [STATEMENTS, path, String(statement)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  child.stdout.on('data', (chunk) => (said += chunk));
  const [code, signal] = await once(child, 'close');
  if (signal === 'SIGKILL') return null;
  assert.is(code, 0);
  return Number(said);
}

test('killed before any of its statements it starts again cleanly, with everything that was there', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'redoubt-statements-'));
  const whole = join(folder, 'whole.db');
  try {
    copyFileSync(fixture, whole);
    const statements = (await adoptUntil(whole, 0))!;
    assert.ok(statements > 20, `${statements} statements`);
    const step = KILLS > 50 ? 1 : Math.ceil(statements / KILLS);
    let kills = 0;
    for (let at = 1 + Math.floor(Math.random() * step); at <= statements; at += step) {
      const path = join(mkdtempSync(join(folder, 'x')), 'nsecbunker.db');
      copyFileSync(fixture, path);
      assert.is(await adoptUntil(path, at), null, `killed before statement ${at}`);
      kills++;
      intact(path);
      assert.ok((await adoptUntil(path, 0))! > 0);
      intact(path);
      const found = inspectDatabase(path);
      assert.equal(found.ok && found.state === 'ours' && found.applied, [...MIGRATION_NAMES]);
      assert.equal(dump(copyPath(path)), original);
    }
    console.log(
      `R21 ${JSON.stringify({ what: 'killed before a statement of the adoption', statements, kills, started: kills })}`,
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test.run();
