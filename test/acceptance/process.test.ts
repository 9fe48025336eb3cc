// deadline: 120 s
/** The daemon as a process: what it refuses to start on, its lock, its signals, its files, and what it says of itself. */
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateSecretKey, verifyEvent } from 'nostr-tools';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { runCli } from '../support/cli.ts';
import { TestDaemon } from '../support/daemon.ts';
import { auditRows, lockDatabase } from '../support/database.ts';
import { adminOf, pair } from '../support/provision.ts';
import { parseBunkerUrl, RpcClient } from '../support/rpc.ts';
import { until } from '../support/until.ts';

const CONFIGURATION = 78;
const daemon = new TestDaemon();
const empty = mkdtempSync(join(tmpdir(), 'redoubt-empty-'));

test.before(async () => {
  await daemon.start();
});
test.after(async () => {
  await daemon.remove();
  rmSync(empty, { recursive: true, force: true });
});

const template = () =>
  JSON.stringify({ kind: 1, content: crypto.randomUUID(), tags: [], created_at: Math.floor(Date.now() / 1000) });
const ports = ['--port', '0', '--http-port', '0'];
const openClient = (url: string) =>
  new RpcClient(generateSecretKey(), parseBunkerUrl(url).pubkey).open(daemon.quickstart.relay);

test('`start` by itself invents nothing: it names the file that is missing and what to do', async () => {
  const { code, stdout, stderr } = await runCli(['start'], { cwd: empty });
  assert.is(code, CONFIGURATION);
  assert.is(stdout, '');
  assert.match(stderr, /^redoubt: .*nsecbunker\.json.*\n$/);
  assert.match(stderr, '--quickstart');
  assert.equal(readdirSync(empty), []);
});

test('a quickstart beside a configuration refuses to start, and touches nothing', async () => {
  const cwd = join(empty, 'beside');
  mkdirSync(join(cwd, 'config'), { recursive: true });
  writeFileSync(join(cwd, 'config', 'nsecbunker.json'), '{}');
  const data = join(cwd, 'data');
  const quickstart = ['start', '--quickstart', ...ports];
  for (const [args, options, named] of [
    [['--data', data], { cwd }, 'config/nsecbunker.json'],
    [['--data', data], { cwd: empty, env: { ADMIN_NPUBS: 'npub1' } }, 'ADMIN_NPUBS'],
    [['--data', data], { cwd: empty, env: { DATABASE_URL: 'file:x.db' } }, 'DATABASE_URL'],
    [['--data', data], { cwd: empty, env: { REDOUBT_HTTP_LISTEN: '0.0.0.0:0' } }, 'REDOUBT_HTTP_LISTEN'],
    [['--data', data], { cwd: empty, env: { REDOUBT_RELAY_LISTEN: '0.0.0.0:0' } }, 'REDOUBT_RELAY_LISTEN'],
    [['--data', data], { cwd: empty, env: { REDOUBT_RELAYS: 'wss://relay.example' } }, 'REDOUBT_RELAYS'],
    [['--config', join(cwd, 'config', 'nsecbunker.json')], { cwd: empty }, '--config'],
  ] as const) {
    const { code, stderr } = await runCli([...quickstart, ...args], options);
    assert.is(code, CONFIGURATION, stderr);
    assert.match(stderr, /^redoubt: the quickstart does not run beside a configuration \(.*\n$/);
    assert.match(stderr, named);
  }
  assert.equal(readdirSync(cwd), ['config']);
  assert.is(readFileSync(join(cwd, 'config', 'nsecbunker.json'), 'utf8'), '{}');
  rmSync(cwd, { recursive: true });
});

test('a second daemon on the same folder is refused, and told which process runs', async () => {
  const { code, stderr } = await runCli(['start', '--quickstart', '--data', daemon.data, ...ports]);
  assert.is(code, 1);
  assert.match(
    stderr,
    new RegExp(`^redoubt: another redoubt \\(process ${daemon.pid}\\) runs on ${daemon.data}: .*\n$`),
  );
  const health = await fetch(daemon.quickstart.health_url);
  assert.is(health.status, 200);
});

test('--port and --http-port leave the configured hosts', async () => {
  const addresses = { embeddedRelay: { listen: '127.0.0.2:4736' }, http: { listen: '127.0.0.3:4737' } };
  const elsewhere = new TestDaemon({ config: { redoubt: { quickstart: true, ...addresses } } });
  try {
    const { relay, health_url } = (await elsewhere.start()).quickstart;
    assert.equal([new URL(relay).hostname, new URL(health_url).hostname], ['127.0.0.2', '127.0.0.3']);
    assert.not([relay, health_url].some((url) => /:473[67]/.test(url)));
  } finally {
    await elsewhere.remove();
  }
});

test('quickstart.json says exactly what a program needs', () => {
  assert.equal(Object.keys(daemon.quickstart).sort(), [
    'admin_npub',
    'admin_nsec_file',
    'bunker_url',
    'connection_string',
    'daemon_pubkey',
    'data',
    'health_url',
    'relay',
  ]);
  const { bunker_url, relay, health_url, daemon_pubkey, data, admin_npub, connection_string } = daemon.quickstart;
  const url = parseBunkerUrl(bunker_url);
  assert.match(bunker_url, /^bunker:\/\/[0-9a-f]{64}\?/);
  assert.equal(url.relays, [relay]);
  assert.match(url.secret, /^[0-9a-f]{64}$/);
  assert.match(daemon_pubkey, /^[0-9a-f]{64}$/);
  assert.match(admin_npub, /^npub1/);
  assert.match(connection_string, /^bunker:\/\/npub1/);
  assert.is(data, daemon.data);
  for (const address of [relay, health_url]) {
    assert.is(new URL(address).hostname, '127.0.0.1');
    assert.ok(Number(new URL(address).port) > 1023);
  }
  assert.is.not(new URL(relay).port, new URL(health_url).port);
});

test('every file is for its owner alone', () => {
  const modes = readdirSync(daemon.data, { recursive: true, withFileTypes: true }).map((entry) => {
    const path = join(entry.parentPath, entry.name);
    return { path, mode: statSync(path).mode & 0o777, wanted: entry.isDirectory() ? 0o700 : 0o600 };
  });
  assert.is(statSync(daemon.data).mode & 0o777, 0o700);
  assert.equal(
    modes.filter(({ mode, wanted }) => mode !== wanted),
    [],
  );
  const names = modes.map(({ path }) => path.slice(daemon.data.length + 1));
  for (const name of [
    'nsecbunker.db',
    'nsecbunker.db-wal',
    'nsecbunker.json',
    'admin.nsec',
    'passphrase',
    'keystore',
  ]) {
    assert.ok(names.includes(name), name);
  }
});

test('health and metrics answer', async () => {
  const health = await fetch(daemon.quickstart.health_url);
  assert.is(health.status, 200);
  const body = (await health.json()) as { [name: string]: unknown };
  assert.is(body.status, 'ok');
  assert.equal(body.reasons, []);
  assert.equal(body.keys, { total: 1, unlocked: 1, locked: 0, active: 0 });
  assert.equal(body.relays, { [daemon.quickstart.relay]: 'ready' });
  for (const name of ['version', 'schemaVersion', 'database', 'audit', 'curve', 'uptime', 'eventLoopDelay']) {
    assert.ok(name in body, name);
  }
  const metrics = await fetch(new URL('/metrics', daemon.quickstart.health_url));
  assert.is(metrics.status, 200);
  const text = await metrics.text();
  for (const name of ['redoubt_requests_total', 'redoubt_request_seconds', 'process_cpu_seconds_total']) {
    assert.match(text, new RegExp(`^# TYPE ${name} `, 'm'));
  }
});

/** Addresses that a process listens on, TCP over IPv4 and IPv6, as the kernel writes them (proc(5)). */
function listening(pid: number): string[] {
  const sockets = new Set<string>();
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    try {
      sockets.add(/^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? '');
    } catch {
      // Closed meanwhile.
    }
  }
  const lines = ['tcp', 'tcp6'].flatMap((name) => readFileSync(`/proc/${pid}/net/${name}`, 'utf8').split('\n'));
  const LISTEN = '0A';
  return lines
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[3] === LISTEN && sockets.has(fields[9]!))
    .map((fields) => fields[1]!)
    .sort();
}

test('SIGUSR1 does not open the inspector', async () => {
  const before = listening(daemon.pid);
  assert.is(before.length, 2, 'the relay, and health');
  for (let i = 0; i < 5; i++) {
    daemon.child.kill('SIGUSR1');
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.equal(listening(daemon.pid), before);
  }
  assert.not.match(daemon.output, /debugger listening/i);
  console.log(`R3 ${JSON.stringify({ signals: 5, listeningBefore: before.length, openedByThem: 0 })}`);
  assert.is((await fetch(daemon.quickstart.health_url)).status, 200);
});

test('as long as nobody has redeemed a URL each start gives a fresh one, and the old one is dead', async () => {
  const old = daemon.quickstart.bunker_url;
  // Its lock is left behind, and does not stop the next start.
  await daemon.kill();
  assert.ok(readdirSync(daemon.data).includes('redoubt.lock'));
  await daemon.start();
  const fresh = daemon.quickstart.bunker_url;
  assert.is.not(fresh, old);
  assert.is(parseBunkerUrl(fresh).pubkey, parseBunkerUrl(old).pubkey);

  const client = await openClient(old);
  assert.is((await client.call('connect', [client.remote, parseBunkerUrl(old).secret])).error, 'token revoked');
  assert.is(await client.result('connect', [client.remote, parseBunkerUrl(fresh).secret]), 'ack');
  client.close();

  await daemon.kill();
  await daemon.start();
  assert.is(daemon.quickstart.bunker_url, fresh, 'a redeemed URL stays what it was');
  const back = await new RpcClient(client.secretKey, client.remote).open(daemon.quickstart.relay);
  assert.is(await back.result('connect', [client.remote, parseBunkerUrl(fresh).secret]), 'ack');
  assert.ok(verifyEvent(JSON.parse(await back.result('sign_event', [template()]))));
  back.close();
});

test('a client that is paired is answered from the moment at which the daemon says that it is ready', async () => {
  const admin = await adminOf(daemon);
  const { client } = await pair(admin, daemon.quickstart, [{ method: 'sign_event', kind: 1 }]);
  const { relay } = daemon.quickstart;
  admin.close();
  client.close();
  await daemon.kill();
  const printed = daemon.output.length;
  const started = daemon.start();
  await until('it says so', () => daemon.output.slice(printed).includes('"msg":"ready"'));
  const back = await new RpcClient(client.secretKey, client.remote).open(relay);
  assert.ok(verifyEvent(JSON.parse(await back.result('sign_event', [template()]))));
  back.close();
  await started;
});

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(`${signal}: requests in flight are answered, later ones are not taken, and the exit code is 0`, async () => {
    const { relay } = daemon.quickstart;
    const admin = await adminOf(daemon);
    const { client } = await pair(admin, daemon.quickstart, [{ method: 'sign_event', kind: 1 }]);
    const late = await new RpcClient(client.secretKey, client.remote).open(relay);
    admin.close();
    const unlock = lockDatabase(daemon);
    const sent = Array.from({ length: 20 }, () => client.request('sign_event', [template()]));
    const answers = sent.map(({ id }) => client.next(id));
    const exited = new Promise((resolve) => daemon.child.once('exit', resolve));
    try {
      const verdicts = await Promise.all(sent.map(({ event }) => client.submit(event)));
      assert.ok(verdicts.every(({ ok }) => ok));
      const printed = daemon.output.length;
      daemon.child.kill(signal);
      await until('it has begun to stop', () => daemon.output.slice(printed).includes('stopping'));
      assert.is((await late.submit(late.request('sign_event', [template()]).event)).ok, false);
    } finally {
      unlock();
    }
    for (const answer of answers) assert.ok(verifyEvent(JSON.parse((await answer).result)));
    assert.is(await exited, 0);
    assert.is(auditRows(daemon, client.pubkey, 'sign_event').length, sent.length);
    assert.not.ok(readdirSync(daemon.data).includes('redoubt.lock'), 'the lock is released');
    if (signal === 'SIGTERM') await daemon.start();
  });
}

test.run();
