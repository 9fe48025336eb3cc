// deadline: 120 s
/**
 * docs/DEPLOY.md, "By hand, and with systemd", followed by a program: its commands as they stand there, with folders
 * under a temporary one, another user than root, a program folder that nobody may write, two relays, and a disk that fills.
 */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  constants,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { generateSecretKey, getPublicKey, nip19, verifyEvent } from 'nostr-tools';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { BroadcastRelay } from '../support/broadcast-relay.ts';
import { parseBunkerUrl, RpcClient } from '../support/rpc.ts';
import { until } from '../support/until.ts';

const root = join(import.meta.dirname, '../..');
const page = readFileSync(join(root, 'docs/DEPLOY.md'), 'utf8');
/** Commands of the page's blocks of one kind, in their order. */
const blocks = (kind: string) =>
  [...page.matchAll(new RegExp(`^\`\`\`sh ${kind}\n(.*?)^\`\`\``, 'gms'))].map((m) => m[1]!);

/** Bytes that the disk of the state folder holds. */
const DISK_MIB = 6;
const folder = mkdtempSync(join(tmpdir(), 'redoubt-by-hand-'));
chmodSync(folder, 0o755);
const state = join(folder, 'var/lib/redoubt');
const relays = [new BroadcastRelay(), new BroadcastRelay()];
const admin = generateSecretKey();
let daemon: ChildProcess;
let output = '';
let http = '';
let mounted = false;

test.before(async () => {
  for (const relay of relays) await relay.start();
  for (const path of ['opt/redoubt', 'var/lib', 'etc', 'usr/bin', 'admin'])
    mkdirSync(join(folder, path), { recursive: true });
  writeFileSync(join(folder, 'admin/admin.nsec'), nip19.nsecEncode(admin), { mode: 0o600 });
});
test.after(async () => {
  if (daemon !== undefined && daemon.exitCode === null) {
    const ended = once(daemon, 'exit');
    daemon.kill('SIGKILL');
    await ended;
  }
  for (const relay of relays) await relay.stop();
  if (mounted) execFileSync('umount', ['-l', state]);
  rmSync(folder, { recursive: true, force: true });
});

/** A command of the page, on this machine. */
function here(commands: string): string {
  return commands
    .replace(/(?<![\w/.])\/(opt|var\/lib|etc)\/redoubt/g, `${folder}/$1/redoubt`)
    .replaceAll('-o redoubt -g redoubt', '-o nobody -g nogroup')
    .replaceAll('redoubt:redoubt', 'nobody:nogroup')
    .replaceAll('runuser -u redoubt --', 'exec setpriv --reuid=nobody --regid=nogroup --clear-groups --no-new-privs')
    .replace(/^useradd .*$/gm, ':')
    .replaceAll('npub1youradminkey', nip19.npubEncode(getPublicKey(admin)))
    .replaceAll('wss://relay-one.example', relays[0]!.url)
    .replaceAll('wss://relay-two.example', relays[1]!.url)
    .replaceAll('127.0.0.1:4737', http === '' ? '127.0.0.1:0' : new URL(http).host)
    .replace(/^curl .* \| promtool check metrics$/gm, (line) => (line.includes('promtool') ? line : ':'));
}
/** The relays run in this process: it must not stand still meanwhile. */
async function sh(commands: string): Promise<string> {
  const { stdout } = await promisify(execFile)('sh', ['-euc', here(commands)], {
    cwd: join(folder, 'admin'),
    env: { PATH: `${folder}/usr/bin:${process.env.PATH}`, REDOUBT_KEYSTORE_LOG_N: '14' },
  });
  return stdout;
}
const health = async () => {
  const response = await fetch(`${http}/api/health`);
  const { reasons } = (await response.json()) as { reasons: string[] };
  return { status: response.status, reasons: reasons.join('; ') };
};

test('the program: what the build makes and what it needs to run, owned by root, writable by nobody', () => {
  const [steps] = blocks('build');
  for (const step of ['npm ci', 'node build.ts', 'npm prune --omit=dev', 'rsync -a --delete --exclude-from=']) {
    assert.ok(steps!.includes(step), step);
  }
  const program = join(folder, 'opt/redoubt');
  for (const part of ['package.json', 'dist', 'docs', 'deploy']) {
    cpSync(join(root, part), join(program, part), { recursive: true });
  }
  for (const name of runtimePackages()) {
    cpSync(join(root, 'node_modules', name), join(program, 'node_modules', name), {
      recursive: true,
      dereference: true,
    });
  }
  const node = join(folder, 'usr/bin/node');
  copyFileSync(process.execPath, node, constants.COPYFILE_FICLONE);
  chmodSync(node, 0o755);
  execFileSync('chmod', ['-R', 'a-w,a+rX', program]);
});

test('user, folders, passphrase, configuration', async () => {
  const [folders, ...rest] = blocks('run');
  await sh(folders!);
  // The disk that is to fill.
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_MIB}m,mode=0700,uid=65534,gid=65534`, 'tmpfs', state]);
  mounted = true;
  let told = '';
  for (const commands of rest) told += await sh(commands);
  assert.is(told, `${state}/nsecbunker.json: good\n`);
  const { admin: own } = JSON.parse(readFileSync(join(state, 'nsecbunker.json'), 'utf8'));
  assert.match(own.key, /^[0-9a-f]{64}$/);
  assert.match(readFileSync(join(folder, 'etc/redoubt/passphrase'), 'utf8'), /^[0-9a-f]{48}$/);
});

test('the start, as a user who may write nothing but the state folder', async () => {
  const [start] = blocks('start');
  daemon = spawn('sh', ['-euc', here(start!)], {
    cwd: folder,
    env: { PATH: `${folder}/usr/bin:${process.env.PATH}`, REDOUBT_KEYSTORE_LOG_N: '14' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  for (const stream of [daemon.stdout!, daemon.stderr!]) {
    stream.on('data', (chunk) => {
      output += chunk;
    });
  }
  await until('it is ready', () => {
    if (daemon.exitCode !== null) throw new Error(output);
    return output.includes('"msg":"ready"');
  });
  http = JSON.parse(output.split('\n').find((line) => line.includes('"msg":"ready"'))!).http;
  const status = readFileSync(`/proc/${daemon.pid}/status`, 'utf8');
  assert.match(status, /^Uid:\t65534\t65534\t65534\t65534$/m);
  await until(
    'both relays are ready',
    async () => (await metric('redoubt_relay_state{')).filter((line) => line.includes('ready')).length === 2,
  );
  assert.equal(await health(), { status: 200, reasons: '' });
});

test('first key and first client, over the relays', async () => {
  const [commands] = blocks('admin');
  const told = await sh(commands!);
  const url = /bunker:\/\/\S+/.exec(told)![0];
  assert.match(told, /keys +1: 1 unlocked/);
  const { pubkey, secret, relays: advertised } = parseBunkerUrl(url);
  assert.equal(advertised, relays.map(({ url }) => url).sort());
  mkdirSync(join(folder, 'admin/elsewhere'));
  copyFileSync(join(state, 'connection.txt'), join(folder, 'admin/elsewhere/connection.txt'));
  const there = 'node /opt/redoubt/dist/redoubt.js status --data elsewhere --admin-key-file admin.nsec';
  assert.match(await sh(there), /keys +1: 1 unlocked/);
  const client = await new RpcClient(generateSecretKey(), pubkey).open(relays[1]!.url);
  await client.result('connect', [pubkey, secret]);
  const template = JSON.stringify({ kind: 1, content: 'hello', tags: [], created_at: 1_700_000_000 });
  assert.ok(verifyEvent(JSON.parse(await client.result('sign_event', [template]))));
  client.close();
});

test('it is watched with the commands of the page', async () => {
  const [commands] = blocks('watch');
  const [look, check] = commands!.trim().split('\n');
  if (existsSync('/usr/bin/curl')) assert.match(await sh(look!), '"status":"ok"');
  if (existsSync('/usr/bin/promtool') && existsSync('/usr/bin/curl')) {
    // What the page says, and of nothing else.
    const complaints = (await sh(`${check} 2>&1 || echo $?`)).trim().split('\n');
    assert.is(complaints.pop(), '3');
    assert.is(complaints.length, 5);
    for (const line of complaints) assert.match(line, /^(nsecbunkerd_keys|nodejs_active)_\w+_total non-counter /);
  }
});

test('health turns red as the relays go, and green again', async () => {
  await relays[0]!.stop();
  await until('one is missed', async () =>
    (await metric('redoubt_relay_state{')).some((line) => line.includes('connecting')),
  );
  assert.is((await health()).status, 200, 'the other one will do');
  await relays[1]!.stop();
  await until('it is red', async () => (await health()).status === 503);
  assert.match((await health()).reasons, 'no relay is ready (ws://127.0.0.1:');
  await Promise.all(relays.map((relay) => relay.start()));
  await until('it is green', async () => (await health()).status === 200);
});

test('health turns red as the disk fills, and green again', async () => {
  const ballast = join(state, 'ballast');
  try {
    // dd writes until nothing more fits, and says so with its exit code.
    execFileSync('sh', ['-c', 'dd if=/dev/zero of="$0" bs=4096 2>/dev/null || true', ballast]);
    await until('it is red', async () => (await health()).status === 503);
    assert.match((await health()).reasons, 'the audit log cannot be written');
    assert.equal(await metric('redoubt_audit_writable '), ['redoubt_audit_writable 0']);
  } finally {
    rmSync(ballast, { force: true });
  }
  await until('it is green', async () => (await health()).status === 200);
});

test('it stops, and what must survive is there', async () => {
  const ended = once(daemon, 'exit');
  daemon.kill('SIGTERM');
  assert.equal(await ended, [0, null]);
  for (const name of ['nsecbunker.json', 'nsecbunker.db', 'keystore', 'connection.txt']) {
    assert.ok(existsSync(join(state, name)), name);
  }
});

async function metric(start: string): Promise<string[]> {
  const text = await (await fetch(`${http}/metrics`)).text();
  return text.split('\n').filter((line) => line.startsWith(start));
}

/** What `npm prune --omit=dev` would leave of the packages that are not in the bundles. */
function runtimePackages(): Set<string> {
  const found = new Set<string>();
  const add = (name: string) => {
    const path = join(root, 'node_modules', name, 'package.json');
    if (found.has(name) || !existsSync(path)) return;
    found.add(name);
    const { dependencies = {}, optionalDependencies = {} } = JSON.parse(readFileSync(path, 'utf8'));
    for (const one of Object.keys({ ...dependencies, ...optionalDependencies })) add(one);
  };
  for (const name of ['better-sqlite3', 'koffi', 'pino', 'pino-pretty', 'piscina']) add(name);
  return found;
}

test.run();
