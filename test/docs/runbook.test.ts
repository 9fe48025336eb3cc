// deadline: 180 s
/** Every command of docs/RUNBOOK.md, run against the built daemon. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { generateSecretKey, getPublicKey, nip19 } from 'nostr-tools';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { runMain } from '../cli/run.ts';
import { addPhotocopies } from '../support/copies.ts';
import { TestDaemon } from '../support/daemon.ts';
import { rows } from '../support/database.ts';
import { adminOf, type Paired, pair } from '../support/provision.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const page = readFileSync(join(root, 'docs/RUNBOOK.md'), 'utf8');
const folder = mkdtempSync(join(tmpdir(), 'redoubt-runbook-'));
const KEY = 'atm-7';
const daemonEnv = { REDOUBT_KEYSTORE_LOG_N: '14' };
const daemon = new TestDaemon({ data: join(folder, 'data'), env: daemonEnv });
const at = (name: string) => join(folder, name);
const env: { [name: string]: string } = {
  ...daemonEnv,
  REDOUBT_DATA: daemon.data,
  KEY,
  ...Object.fromEntries(
    ['PASSPHRASE_FILE', 'OLD_PASSPHRASE_FILE', 'BACKUP_PASSPHRASE_FILE', 'NEW_ADMIN_FILE', 'NEW_PASSPHRASE_FILE'].map(
      (name) => [name, at(name)],
    ),
  ),
  ...Object.fromEntries(['BACKUP', 'HEADS', 'EVIDENCE', 'MOVE', 'NEW_DATA'].map((name) => [name, at(name)])),
};
const EACH_IN_A_PROCESS = process.env.REDOUBT_RUNBOOK_PROCESSES === '1';
let machine: Paired;
/** What stands for systemd: it starts and stops the daemon of this test. */
const systemd = createServer(async ({ url }, response) => {
  if (url === '/stop' || url === '/restart') await daemon.stop();
  if (url === '/start' || url === '/restart') await daemon.start();
  response.end();
});

test.before(async () => {
  for (const name of ['PASSPHRASE_FILE', 'OLD_PASSPHRASE_FILE', 'BACKUP_PASSPHRASE_FILE']) {
    writeFileSync(at(name), 'of the runbook', { mode: 0o600 });
  }
  const admin = generateSecretKey();
  writeFileSync(at('NEW_ADMIN_FILE'), nip19.nsecEncode(admin), { mode: 0o600 });
  env.NEW_NPUB = nip19.npubEncode(getPublicKey(admin));
  systemd.listen(0);
  await once(systemd, 'listening');
  const { port } = systemd.address() as AddressInfo;
  const ask = `fetch("http://127.0.0.1:${port}/" + process.argv[1])`;
  script('systemctl', `exec ${process.execPath} -e '${ask}' "$1"`);
  script('redoubt', `exec ${process.execPath} ${join(root, 'dist/redoubt.js')} "$@"`);
  env.PATH = `${folder}/bin:${process.env.PATH}`;

  Object.assign(process.env, env);
  await daemon.start();
  env.OLD_NPUB = daemon.quickstart.admin_npub;
  await shell(`redoubt key create ${KEY} --passphrase-file "$PASSPHRASE_FILE"`);
  const { quickstart } = daemon;
  const client = await adminOf(daemon);
  machine = await pair(client, quickstart, [{ method: 'sign_event', kind: 1 }], KEY);
  machine.client.close();
  client.close();
});
test.after(async () => {
  systemd.close();
  await daemon.remove();
  rmSync(folder, { recursive: true, force: true });
});

function script(name: string, line: string): void {
  const bin = at('bin');
  mkdirSync(bin, { recursive: true });
  writeFileSync(join(bin, name), `#!/bin/sh\n${line}\n`, { mode: 0o755 });
}

interface Ran {
  command: string;
  code: number | null;
  output: string;
}

/** In this process where nothing is lost by it: a process of its own for each command costs half a minute. */
async function shell(command: string): Promise<Ran> {
  if (!command.startsWith('redoubt ') || command.includes('>') || EACH_IN_A_PROCESS) return inBash(command);
  const { output } = await inBash(`printf '%s\\0' ${command.slice('redoubt '.length)}`);
  const { code, out, err } = await runMain(output.split('\0').slice(0, -1));
  return { command, code, output: out + err };
}

async function inBash(command: string): Promise<Ran> {
  const child = spawn('bash', ['-uc', command], { env, cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  child.stdout.on('data', (chunk) => (output += chunk));
  child.stderr.on('data', (chunk) => (output += chunk));
  const [code] = (await once(child, 'close')) as [number | null];
  return { command, code, output };
}

const untested = new Set([...page.matchAll(/^## (.*)$/gm)].map(([, heading]) => heading!));

/** Runs the commands under a heading, one by one; `doctor` may have something to say. */
async function follow(heading: string): Promise<Map<string, Ran>> {
  assert.ok(untested.delete(heading), `the runbook has no "${heading}"`);
  const section = page.slice(page.indexOf(`## ${heading}\n`)).split(/^## /m)[1]!;
  const ran = new Map<string, Ran>();
  for (const [, block] of section.matchAll(/^```sh\n(.*?)^```$/gms)) {
    for (const command of block!.trim().split('\n')) {
      const one = await shell(command);
      const allowed = command.startsWith('redoubt doctor') ? [0, 1, 2] : [0];
      assert.ok(allowed.includes(one.code ?? -1), `${command}: exit code ${one.code}\n${one.output}`);
      ran.set(command, one);
    }
  }
  assert.ok(ran.size > 0, `"${heading}" has no commands`);
  return ran;
}

const locked = async () =>
  JSON.parse((await shell('redoubt key list --json')).output) as { name: string; locked: boolean }[];
const isLocked = async () => (await locked()).find(({ name }) => name === KEY)?.locked;

test('keys are locked after a restart', async () => {
  await shell('redoubt backup "$BACKUP" --passphrase-file "$BACKUP_PASSPHRASE_FILE"');
  await shell('systemctl restart redoubt');
  assert.is(await isLocked(), true);
  await follow('The keys are locked after a restart');
  assert.is(await isLocked(), false);
  await follow('A key has another passphrase than the rest');
  const ran = await follow('Nothing is signed, and nobody knows why');
  assert.match(ran.get('redoubt status')!.output, /audit log/);
});

test('a token has expired', async () => {
  const ran = await follow('A client is refused with `token expired`');
  assert.match([...ran.values()].at(-1)!.output, /spire-seed:v1:/);
});

test('a machine was stolen', async () => {
  const [user] = rows<{ id: number }>(daemon, 'SELECT id FROM KeyUser WHERE userPubkey = ?', machine.client.pubkey);
  const [token] = rows<{ id: number }>(daemon, 'SELECT id FROM Token WHERE keyName = ? AND redeemedAt IS NULL', KEY);
  env.USER_ID = String(user!.id);
  env.TOKEN_ID = String(token!.id);
  await follow('A machine was stolen');
  assert.is(await isLocked(), true);
  const revoked = 'SELECT revokedAt AS at FROM KeyUser WHERE id = ?';
  assert.type(rows<{ at: number }>(daemon, revoked, user!.id)[0]!.at, 'number');
  assert.type(
    rows<{ at: number }>(daemon, 'SELECT deletedAt AS at FROM Token WHERE id = ?', token!.id)[0]!.at,
    'number',
  );
});

test('the database is gone', async () => {
  await daemon.stop();
  for (const end of ['', '-wal', '-shm']) rmSync(`${join(daemon.data, 'nsecbunker.db')}${end}`, { force: true });
  const ran = await follow('The database is gone, empty or damaged');
  assert.match(ran.get('redoubt doctor')!.output, /BROKEN +database-missing/);
  assert.is(rows(daemon, 'SELECT id FROM KeyUser WHERE userPubkey = ?', machine.client.pubkey).length, 1);
  assert.is(await isLocked(), false);
});

test('the disk is full', async () => {
  const [old, young] = ['19990101', '20270101'].map((day) =>
    join(daemon.data, `nsecbunker.db.pre-strip-${day}T000000Z`),
  );
  writeFileSync(old!, '');
  writeFileSync(young!, '');
  utimesSync(old!, 1, 1);
  await follow('The disk is full');
  assert.equal([existsSync(old!), existsSync(young!)], [false, true]);
  rmSync(young!);
});

test('clients may do more than their policy says', async () => {
  addPhotocopies(daemon, 20, 'ab'.repeat(32));
  const copies = () => rows(daemon, 'SELECT id FROM SigningCondition').length;
  const ran = await follow('Clients may do more than their policy says');
  assert.match(ran.get('redoubt strip-photocopies')!.output, /20 rows deleted; pairings before (\d+), after \1/);
  assert.is(copies(), 20, 'and back again');
});

test('the audit log', async () => {
  await shell('systemctl restart redoubt');
  writeFileSync(at('HEADS'), readFileSync(join(daemon.data, 'audit-heads.jsonl')));
  const ran = await follow('Somebody may have changed the audit log');
  assert.match([...ran.values()][0]!.output, /agrees with the kept head/);
  assert.ok(readFileSync(at('EVIDENCE'), 'utf8').trim().split('\n').length > 1);
});

test('the passphrase is changed', async () => {
  writeFileSync(at('NEW_PASSPHRASE_FILE'), 'another one', { mode: 0o600 });
  await follow('The passphrase is known to somebody who should not know it');
  assert.is(await isLocked(), false);
  await shell('systemctl restart redoubt');
  assert.is((await shell(`redoubt key unlock ${KEY} --passphrase-file "$OLD_PASSPHRASE_FILE"`)).code, 1);
});

test('backups, another machine, another admin', async () => {
  await follow('Every night');
  assert.ok(readdirSync(folder).some((name) => /^data-\d{4}-\d\d-\d\d\.backup$/.test(name)));
  await follow('To another machine');
  assert.ok(existsSync(join(at('NEW_DATA'), 'nsecbunker.db')));
  await daemon.start();
  await follow('The admin key is lost, or in wrong hands');
  assert.is((await shell('redoubt status')).code, 1, 'the old admin is none any more');
});

test('every section was followed', () => assert.equal([...untested], []));

test.run();
