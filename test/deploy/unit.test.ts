/** The systemd unit, the nginx snippet, the compose file and the exclude list. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { startHttp } from '../../src/http/server.ts';
import { Metrics } from '../../src/metrics.ts';
import { ObservedDaemon } from '../http/daemon.ts';
import { get } from '../http/get.ts';
import { isInstalled } from '../runner/lacks.ts';
import { until } from '../support/until.ts';

const deploy = join(import.meta.dirname, '../../deploy');
const read = (name: string) => readFileSync(join(deploy, name), 'utf8');
const folder = mkdtempSync(join(tmpdir(), 'redoubt-deploy-'));
chmodSync(folder, 0o755);
test.after(() => rmSync(folder, { recursive: true, force: true }));

const systemd = isInstalled('systemd-analyze') ? test : test.skip;
systemd('systemd takes the unit, and finds it well locked in', () => {
  const unit = join(folder, 'redoubt.service');
  // Programs that it names must exist where it is verified.
  writeFileSync(unit, read('redoubt.service').replaceAll('/usr/bin/node', '/bin/true'));
  const verified = execFileSync('systemd-analyze', ['verify', unit], { encoding: 'utf8', stdio: 'pipe' });
  assert.is(verified, '');
  const report = execFileSync('systemd-analyze', ['security', '--offline=true', unit], { encoding: 'utf8' });
  const exposure = Number(/Overall exposure level for redoubt\.service: ([\d.]+)/.exec(report)?.[1]);
  assert.ok(exposure < 2, report);
});

test('the unit says what the daemon relies on', () => {
  const unit = read('redoubt.service');
  for (const line of [
    'Type=notify',
    'LimitCORE=0',
    'RestartPreventExitStatus=78',
    'LoadCredential=passphrase:/etc/redoubt/passphrase',
    'ExecReload=/bin/kill -HUP $MAINPID',
  ]) {
    assert.ok(unit.split('\n').includes(line), line);
  }
  assert.match(unit, /^WatchdogSec=\d+$/m);
  // RestartPreventExitStatus looks at the main process: what ExecStartPre refuses would be tried again.
  assert.not.match(unit, /^ExecStartPre=/m);
});

const nginx = isInstalled('nginx') ? test : test.skip;
nginx('behind nginx metrics need the key, and health does not', async () => {
  const key = 'a key of more than sixteen characters';
  const daemon = new ObservedDaemon();
  const listen = { host: '127.0.0.1', port: 0 };
  const started = await startHttp({ listen, hosts: [], apiKey: key, daemon, metrics: new Metrics() });
  assert.ok(started.ok);
  const port = await freePort();
  const config = join(folder, 'nginx.conf');
  const snippet = read('nginx.conf').replaceAll('127.0.0.1:4737', new URL(started.value.url).host);
  const places = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((at) => `${at}_temp_path ${folder}/${at};`);
  writeFileSync(
    config,
    `daemon off; pid ${folder}/nginx.pid; error_log stderr; events {}
     http { access_log off; ${places.join(' ')} server { listen 127.0.0.1:${port}; ${snippet} } }`,
  );
  execFileSync('nginx', ['-t', '-q', '-e', 'stderr', '-c', config], { stdio: 'pipe', env: withSbin() });
  const proxy = spawn('nginx', ['-e', 'stderr', '-c', config], { stdio: 'ignore', env: withSbin() });
  const ended = once(proxy, 'exit');
  try {
    const url = `http://127.0.0.1:${port}/redoubt`;
    await until('nginx listens', () =>
      get(`${url}/health`).then(
        () => true,
        () => false,
      ),
    );
    assert.is((await get(`${url}/health`)).status, 200);
    const refused = await get(`${url}/metrics`);
    assert.is(refused.status, 401);
    assert.not.match(refused.text, 'redoubt_info');
    const given = await get(`${url}/metrics`, { 'x-api-key': key });
    assert.is(given.status, 200);
    assert.match(given.text, 'redoubt_info{');
    assert.is((await get(`${url}/other`)).status, 404);
  } finally {
    proxy.kill('SIGTERM');
    await ended;
    await started.value.close();
  }
});

test('the compose file: a service that publishes a port has a network that is not internal', () => {
  const file = read('docker-compose.yml');
  const [services, networks] = file.split(/^networks:\n/m) as [string, string];
  const isInternal = new Set([...networks.matchAll(/^ {2}(\w+):\n {4}internal: true$/gm)].map(([, name]) => name));
  assert.ok(isInternal.has('signing'));
  const published = services.split(/^ {2}(?=\w+:$)/m).filter((service) => / {4}ports:\n/.test(service));
  assert.is(published.length, 2);
  for (const service of published) {
    const joined = [.../ {4}networks:\n((?: {6}- \w+\n)+)/.exec(service)![1]!.matchAll(/- (\w+)/g)];
    assert.ok(
      joined.some(([, name]) => !isInternal.has(name)),
      service,
    );
  }
});

test('the image: what it copies is there, and it runs as nobody special, told how it is', () => {
  const dockerfile = read('Dockerfile');
  for (const [, flags, sources] of dockerfile.matchAll(/^COPY (--from=\S+ )?(.+) \S+$/gm)) {
    if (flags !== undefined) continue;
    for (const source of sources!.split(' ')) assert.ok(existsSync(join(deploy, '..', source)), source);
  }
  const last = dockerfile.split(/^FROM /m).at(-1)!;
  assert.match(last, /^USER redoubt$/m);
  assert.match(last, /^HEALTHCHECK /m);
  assert.match(last, 'libsecp256k1');
  assert.not.match(last, /npm (ci|install)/);
});

test('the health check of the image: 0 while health is good, 1 and why while not', async () => {
  const daemon = new ObservedDaemon();
  const listen = { host: '127.0.0.1', port: 0 };
  const started = await startHttp({ listen, hosts: [], apiKey: null, daemon, metrics: new Metrics() });
  assert.ok(started.ok);
  const check = async (address: string) => {
    const env = { ...process.env, REDOUBT_HTTP_LISTEN: address };
    const child = spawn(process.execPath, [join(deploy, 'healthcheck.mjs')], {
      env,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let told = '';
    child.stderr.on('data', (chunk) => {
      told += chunk;
    });
    const [code] = await once(child, 'close');
    return { code, told };
  };
  try {
    const { port } = new URL(started.value.url);
    assert.equal(await check(`0.0.0.0:${port}`), { code: 0, told: '' });
    daemon.look = async () => ({ ...(await import('../http/daemon.ts')).well, reasons: ['no relay is ready'] });
    assert.equal(await check(`127.0.0.1:${port}`), { code: 1, told: 'no relay is ready\n' });
    assert.is((await check('127.0.0.1:1')).code, 1);
  } finally {
    await started.value.close();
  }
});

test('rsync --delete with the exclude list would leave every file of an installation', () => {
  const patterns = read('rsync-exclude.txt')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
  const spared = (path: string) => {
    const parts = path.split('/');
    return patterns.some((pattern) => {
      const anchored = pattern.startsWith('/');
      const folderOnly = pattern.endsWith('/');
      const glob = new RegExp(
        `^${pattern
          .replaceAll('/', '')
          .replace(/[.+^${}()|[\]\\]/g, '\\$&')
          .replaceAll('*', '[^/]*')}$`,
      );
      const names = folderOnly ? parts.slice(0, -1) : parts;
      return (anchored ? names.slice(0, 1) : names).some((name) => glob.test(name));
    });
  };
  for (const name of [
    'nsecbunker.json',
    'nsecbunker.db',
    'nsecbunker.db-wal',
    'nsecbunker.db-shm',
    'keystore/00.json',
    'connection.txt',
    'audit-heads.jsonl',
    'redoubt.lock',
    'keystore/redoubt.lock',
    'nsecbunker.db.redoubt.lock',
    'passphrase',
    'admin.nsec',
    'quickstart.json',
    'config/nsecbunker.json',
    'data/nsecbunker.db',
  ]) {
    for (const path of [name, `somewhere/${name}`]) {
      if (path.startsWith('somewhere/config') || path.startsWith('somewhere/data')) continue;
      assert.ok(spared(path), path);
    }
  }
  for (const program of ['dist/redoubt.js', 'node_modules/ws/index.js', 'package.json', 'docs/DEPLOY.md']) {
    assert.not.ok(spared(program), program);
  }
});

function withSbin(): NodeJS.ProcessEnv {
  return { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

test.run();
