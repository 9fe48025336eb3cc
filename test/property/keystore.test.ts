/**
 * R5: whoever works on the keystore dies at each of its system calls in turn, by a kill or by a power cut, and what is
 * left is opened again. `REDOUBT_CRASHES=2` lets the second attempt die as well.
 */
import crypto from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { dirname, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { prepare } from '../../src/keystore/prepare.ts';
import { openKeyFile } from '../probe/key-file.ts';
import { memoryFolder } from '../support/memory-folder.ts';
import { Crash, CrashDisk, LOSSES, watchFileSystem } from './crash-disk.ts';
import { begin, type Known, keystoreOf, OPERATIONS, type Operation, type World } from './keystore-operations.ts';

const CRASHES = Number(process.env.REDOUBT_CRASHES ?? 1);
const TEMPORARY = /\.[0-9a-f]{16}\.tmp$/;

watchFileSystem();
rememberScrypt();
const folder = memoryFolder('crash');
test.after(() => rmSync(folder, { recursive: true }));
const figures = { operations: 0, calls: 0, crashes: 0, states: 0, secondCrashes: 0 };

/** The same passphrases and salts come thousands of times. */
function rememberScrypt(): void {
  const derive = crypto.scryptSync;
  const known = new Map<string, Buffer>();
  crypto.scryptSync = (password, salt, length, options) => {
    const name = [password, salt].map((part) => Buffer.from(part as Uint8Array).toString('hex')).join(' ');
    const kek = known.get(name) ?? derive(password, salt, length, options);
    known.set(name, Buffer.from(kek));
    return Buffer.from(kek);
  };
  syncBuiltinESMExports();
}

/** The same bytes in each run: what is derived from them is derived once. */
function seeded(seed: string): World['random'] {
  let n = 0;
  return (size) => {
    const bytes = new Uint8Array(size);
    bytes.set(crypto.createHash('sha512').update(`${seed} ${n++}`).digest().subarray(0, size));
    return bytes;
  };
}

let worlds = 0;
/** A copy of what was left, to go on with. `database`: the Key table, which is on another disk. */
function worldOf(left: Map<string, Buffer>, known: Known[], database: string | null, seed: string): World {
  const root = join(folder, `${++worlds}`, 'root');
  mkdirSync(root, { recursive: true });
  for (const [path, content] of left) {
    mkdirSync(dirname(join(root, path)), { recursive: true, mode: 0o700 });
    writeFileSync(join(root, path), content, { mode: 0o600 });
  }
  if (database !== null && existsSync(database)) cpSync(database, join(root, '..', 'keys.db'));
  return { root, known, random: seeded(seed) };
}
const drop = ({ root }: World) => rmSync(dirname(root), { recursive: true });
const databaseOf = ({ root }: World) => join(root, '..', 'keys.db');

/** Reopens what was left, as a start does. */
async function assertWhole(world: World, known: Known[], operation: Operation, done: boolean): Promise<void> {
  const keystore = keystoreOf(world);
  const prepared = await prepare(keystore);
  assert.ok(prepared.ok, prepared.ok ? '' : prepared.refusal);
  for (const file of readdirSync(keystore)) {
    assert.not.match(file, TEMPORARY);
    JSON.parse(readFileSync(join(keystore, file), 'utf8'));
  }
  for (const { name, pubkey, privateKey, passphrases, gone } of known) {
    const isThere = existsSync(join(keystore, `${pubkey}.json`));
    if (gone === 'surely') assert.not.ok(isThere, `${name} is back`);
    if (!isThere && gone !== 'never') continue;
    const opened = passphrases.map((one) => opens(keystore, pubkey, one)).find((one) => one !== null);
    assert.ok(opened, `${name} does not open`);
    if (privateKey !== null) assert.is(opened, privateKey);
  }
  operation.check?.(world, done);
}

function opens(keystore: string, pubkey: string, passphrase: string): string | null {
  try {
    return Buffer.from(openKeyFile(keystore, pubkey, passphrase).privateKey).toString('hex');
  } catch {
    return null;
  }
}

/** What was begun can be done again, and is whole then. */
async function assertRepeatable(world: World, operation: Operation): Promise<void> {
  const again = await operation.run(world);
  const wasDone = !again.ok && again.refusal === operation.refusedWhenDone;
  assert.ok(again.ok || wasDone, again.ok ? '' : again.refusal);
  await assertWhole(world, again.ok ? again.known : operation.during(world.known), operation, true);
}

interface Start {
  left: Map<string, Buffer>;
  known: Known[];
  database: string | null;
}

/** Dies at each call of the operation in turn, and once not at all. @returns each different state that was left */
async function crashEverywhere(operation: Operation, start: Start, seed: string): Promise<Start[]> {
  const states = new Map<string, Start>();
  for (let at = 1; ; at++) {
    const world = worldOf(start.left, start.known, start.database, seed);
    const disk = new CrashDisk(world.root);
    const outcome = await disk.run(at, () => operation.run(world));
    const died = outcome instanceof Crash;
    if (!died) assert.ok(outcome.ok || outcome.refusal === operation.refusedWhenDone, JSON.stringify(outcome));
    const done = !died && outcome.ok;
    const known = done ? outcome.known : operation.during(start.known);
    for (const loss of LOSSES) {
      figures.crashes++;
      const left = disk.left(loss);
      const state = nameOf(left, databaseOf(world), done);
      if (states.has(state)) continue;
      const where = `${operation.name}, call ${at}${died ? '' : ' (none)'}, ${loss}`;
      const after = worldOf(left, start.known, databaseOf(world), `${seed} again`);
      try {
        await assertWhole(after, known, operation, done);
        if (!done) await assertRepeatable(after, operation);
      } catch (error) {
        throw new Error(`${where}: ${(error as Error).message}`, { cause: error });
      }
      drop(after);
      const kept = join(folder, `${++worlds}.db`);
      if (existsSync(databaseOf(world))) cpSync(databaseOf(world), kept);
      states.set(state, { left, known: start.known, database: kept });
    }
    drop(world);
    if (!died) {
      figures.calls += at - 1;
      return [...states.values()];
    }
  }
}

/** Temporary files have names of their own each time. */
function nameOf(left: Map<string, Buffer>, database: string, done: boolean): string {
  const hash = crypto.createHash('sha256').update(`${done}`);
  for (const [path, content] of [...left].sort(([a], [b]) => (a < b ? -1 : 1))) {
    hash.update(`${path.replace(TEMPORARY, '')} ${content.length} `).update(content);
  }
  if (existsSync(database)) hash.update(readFileSync(database));
  return hash.digest('hex');
}

for (const operation of OPERATIONS) {
  test(`${operation.name}: whatever call it dies at, every key that was told of opens, and it can be done again`, async () => {
    const first: World = { root: join(folder, `${++worlds}`, 'root'), known: [], random: seeded('begin') };
    const known = await begin(operation.from, first);
    const start = { left: new CrashDisk(first.root).left('killed'), known, database: databaseOf(first) };
    const states = await crashEverywhere(operation, start, 'first');
    figures.operations++;
    figures.states += states.length;
    if (CRASHES < 2) return;
    for (const [i, state] of states.entries()) {
      const before = figures.crashes;
      await crashEverywhere(operation, state, `second ${i}`);
      figures.secondCrashes += figures.crashes - before;
    }
  });
}

test('the figures', () => {
  assert.is(figures.operations, OPERATIONS.length);
  // Not behind uvu's dots.
  console.log(`\nR5 ${JSON.stringify({ keystore: figures })}`);
});

test.run();
