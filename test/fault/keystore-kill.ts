/** Kills whoever works on a keystore, again and again, and looks at what is left each time. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, watch } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import * as assert from 'uvu/assert';
import { openKeyFile } from '../probe/key-file.ts';
import { type Driven, passphraseOf, privateKeyOf, type Said } from './keystore-driver.ts';

const DRIVER = join(import.meta.dirname, 'keystore-driver.ts');
/** Half the kills come at any moment of the first so many ms, the others when files are being written. */
const WITHIN_MS = 600;
const MOST_EVENTS = 40;

export interface Killed {
  kills: number;
  keys: number;
  changes: number;
  /** Kills that came while a change, a creation or an import was under way. */
  during: { [op: string]: number };
  /** Kills after which some keys had the old passphrase and some the new. */
  halfway: number;
}

export async function killKeystore(kills: number): Promise<Killed> {
  const folder = mkdtempSync(join(tmpdir(), 'redoubt-kill-'));
  const keystore = join(folder, 'keystore');
  const state: Driven = {
    keystore,
    run: 0,
    passphrase: 0,
    pending: false,
    orphan: { create: null, import: null },
    taken: [],
  };
  const killed: Killed = { kills: 0, keys: 0, changes: 0, during: {}, halfway: 0 };
  try {
    for (state.run = 1; state.run <= kills; state.run++) {
      const begun = await runAndKill(state, killed);
      killed.kills++;
      killed.during[begun] = (killed.during[begun] ?? 0) + 1;
      assertWhole(state, killed);
    }
    killed.keys = state.taken.length;
    return killed;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** @returns what was under way */
async function runAndKill(state: Driven, killed: Killed): Promise<string> {
  const child = spawn(process.execPath, [DRIVER, JSON.stringify(state)], { stdio: ['ignore', 'pipe', 'inherit'] });
  const closed = once(child, 'close');
  let underWay = 'nothing';
  const started = Promise.withResolvers<void>();
  createInterface({ input: child.stdout }).on('line', (line) => {
    const said = JSON.parse(line) as Said;
    if ('failed' in said) assert.unreachable(`what was begun before a kill cannot be repeated: ${said.failed}`);
    underWay = 'begins' in said ? said.begins : 'nothing';
    note(said, state, killed);
    if ('did' in said && said.did === 'started') started.resolve();
  });
  await Promise.race([started.promise, closed]);
  const watching = watch(state.keystore);
  if (state.run % 2 === 0) await sleep(Math.random() * WITHIN_MS);
  else {
    let left = Math.ceil(Math.random() * MOST_EVENTS);
    const enough = Promise.withResolvers<void>();
    watching.on('change', () => --left === 0 && enough.resolve());
    await Promise.race([enough.promise, sleep(4 * WITHIN_MS), closed]);
  }
  watching.close();
  child.kill('SIGKILL');
  const [code] = (await closed) as [number | null];
  assert.is(code, null, 'it was at work until it was killed');
  return underWay;
}

function note(said: Said, state: Driven, killed: Killed): void {
  if ('begins' in said) {
    if (said.begins === 'change' || said.begins === 'finish') state.pending = true;
    else state.orphan[said.begins] = said.name;
  } else if ('pubkey' in said && (said.did === 'create' || said.did === 'import')) {
    state.orphan[said.did] = null;
    state.taken.push({ name: said.name, pubkey: said.pubkey });
  } else if ('did' in said && said.did === 'change') {
    killed.changes++;
    state.pending = false;
    state.passphrase = said.passphrase;
  }
}

/** Every key that was acknowledged opens, and no file is half a file. */
function assertWhole({ keystore, taken, passphrase, pending }: Driven, killed: Killed): void {
  for (const file of readdirSync(keystore)) {
    if (file.endsWith('.json')) JSON.parse(readFileSync(join(keystore, file), 'utf8'));
  }
  const opened = { old: 0, new: 0 };
  for (const { name, pubkey } of taken) {
    const { privateKey, isNew } = open(keystore, pubkey, passphrase, pending);
    opened[isNew ? 'new' : 'old']++;
    const imported = /-1( again)?$/.exec(name);
    if (imported !== null) {
      assert.is(Buffer.from(privateKey).toString('hex'), privateKeyOf(name.replace(/ again$/, '')), name);
    }
  }
  if (opened.old > 0 && opened.new > 0) killed.halfway++;
}

function open(keystore: string, pubkey: string, passphrase: number, pending: boolean) {
  try {
    return { ...openKeyFile(keystore, pubkey, passphraseOf(passphrase)), isNew: false };
  } catch (error) {
    if (!pending) throw error;
    return { ...openKeyFile(keystore, pubkey, passphraseOf(passphrase + 1)), isNew: true };
  }
}
