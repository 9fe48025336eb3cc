import { createConnection, createServer } from 'node:net';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { HealthCheck } from '../../src/http/health.ts';
import { type HttpOptions, type HttpServer, startHttp } from '../../src/http/server.ts';
import { Metrics } from '../../src/metrics.ts';
import { ObservedDaemon, well } from './daemon.ts';
import { get } from './get.ts';

const KEY = 'a key of more than sixteen characters';

let daemon = new ObservedDaemon();
let metrics = new Metrics();
let server: HttpServer | undefined;

async function start(options: Partial<HttpOptions> = {}): Promise<string> {
  daemon = new ObservedDaemon();
  metrics = new Metrics();
  const listen = { host: '127.0.0.1', port: 0 };
  const started = await startHttp({ listen, hosts: [], apiKey: null, daemon, metrics, ...options });
  if (!started.ok) throw new Error(started.refusal);
  server = started.value;
  return server.url;
}
async function stop(): Promise<void> {
  await server?.close();
  server = undefined;
}

const health = suite('health');
health.after.each(stop);
health('says 200 and what it found', async () => {
  const url = await start();
  assert.match(url, /^http:\/\/127\.0\.0\.1:[1-9]\d*$/);
  const got = await get(`${url}/api/health`);
  assert.is(got.status, 200);
  assert.is(got.headers['cache-control'], 'no-store');
  const { eventLoopDelay, ...body } = JSON.parse(got.text) as { eventLoopDelay: { [name: string]: unknown } };
  assert.equal(body, {
    status: 'ok',
    version: '1.2.3',
    schemaVersion: 3,
    database: { writable: true, failure: null },
    relays: { 'ws://127.0.0.1:4736': 'ready', 'wss://relay.example/': 'degraded' },
    keys: { total: 5, unlocked: 3, locked: 2, active: 1 },
    quarantined: [{ key: 'broken', reason: 'key file is damaged' }],
    autounlock: { complete: false, unlocked: 3, total: 5, reasons: [] },
    audit: { lastWrite: '2023-11-14T22:13:20.123Z', writable: true },
    curve: 'wasm',
    uptime: 61,
    reasons: [],
  });
  for (const name of ['mean', 'p99', 'max']) assert.type(eventLoopDelay[name], 'number');
});
health('says 503 and why when it is degraded', async () => {
  const url = await start();
  daemon.look = async () => ({ ...well, policy: null, reasons: ['the policy actor does not answer'] });
  const got = await get(`${url}/api/health`);
  assert.is(got.status, 503);
  assert.match(got.text, '"status":"degraded"');
  assert.match(got.text, '"reasons":["the policy actor does not answer"]');
  assert.match(got.text, '"audit":{"lastWrite":null,"writable":false}');
});
health('says 503 when the look itself fails, and does not quote the exception', async () => {
  const url = await start();
  daemon.look = () => Promise.reject(new Error('hunter2'));
  const got = await get(`${url}/api/health`);
  assert.is(got.status, 503);
  assert.equal(JSON.parse(got.text), { status: 'degraded', reasons: ['the health check failed: see the log'] });
});
health('says 503 when the look does not end', async () => {
  const url = await start();
  daemon.look = () => new Promise(() => {});
  const got = await get(`${url}/api/health`);
  assert.is(got.status, 503);
  assert.match(got.text, 'the daemon did not answer within 5 s');
});
health('looks once for all who ask at the same time', async () => {
  const url = await start();
  const { promise, resolve } = Promise.withResolvers<typeof well>();
  daemon.look = () => promise;
  const asked = [1, 2, 3, 4].map(() => get(`${url}/api/health`));
  while (daemon.looks === 0) await new Promise((done) => setTimeout(done, 5));
  await new Promise((done) => setTimeout(done, 200));
  resolve(well);
  assert.equal(
    (await Promise.all(asked)).map(({ status }) => status),
    [200, 200, 200, 200],
  );
  assert.is(daemon.looks, 1);
  daemon.look = async () => well;
  await get(`${url}/api/health`);
  assert.is(daemon.looks, 2);
});
health('however often it is asked, it looks ten times a second at most', async () => {
  let looks = 0;
  const check = new HealthCheck(async () => {
    looks++;
    return well;
  });
  for (let i = 0; i < 100; i++) assert.type(await check.current(), 'object');
  assert.is(looks, 10);
  while (looks === 10) {
    await new Promise((done) => setTimeout(done, 50));
    await check.current();
  }
  check.close();
});
health('asks for no key, not even behind a proxy', async () => {
  const url = await start({ apiKey: KEY });
  assert.is((await get(`${url}/api/health`, { 'x-forwarded-for': '203.0.113.1' })).status, 200);
});
health.run();

const door = suite('the door');
door.after.each(stop);
door('metrics are free on loopback while no key is configured', async () => {
  const url = await start();
  const got = await get(`${url}/metrics`);
  assert.is(got.status, 200);
  assert.match(got.headers['content-type'] ?? '', /^text\/plain; version=0\.0\.4/);
  assert.match(got.text, 'redoubt_queue_depth{queue="keys"} 4');
  assert.match(got.text, 'process_cpu_seconds_total');
  assert.match(got.text, 'nodejs_eventloop_lag_p99_seconds');
});
door('metrics need the key where one is configured', async () => {
  const url = await start({ apiKey: KEY });
  assert.is((await get(`${url}/metrics`)).status, 401);
  assert.is((await get(`${url}/metrics`, { 'x-api-key': `${KEY}.` })).status, 401);
  assert.is((await get(`${url}/metrics`, { 'x-api-key': '' })).status, 401);
  assert.is((await get(`${url}/metrics`, { 'x-api-key': KEY })).status, 200);
  assert.is((await get(`${url}/metrics`, { 'x-api-key': KEY, forwarded: 'for=203.0.113.1' })).status, 200);
});
door('behind a proxy metrics are refused while no key is configured', async () => {
  const url = await start();
  for (const name of ['X-Forwarded-For', 'Forwarded', 'x-real-ip', 'Via', 'X-Forwarded-Proto', 'cf-connecting-ip']) {
    const got = await get(`${url}/metrics`, { [name]: 'x' });
    assert.is(got.status, 403, name);
    assert.match(got.text, 'through a proxy without a key');
    assert.not.match(got.text, 'redoubt_');
  }
});
door('a Host that is not ours is refused: DNS rebinding', async () => {
  const url = await start({ hosts: ['metrics.internal'] });
  const port = new URL(url).port;
  for (const host of [
    'evil.example',
    `evil.example:${port}`,
    '127.0.0.1.evil.example',
    '10.0.0.1',
    '[::1',
    'localhost.',
  ]) {
    for (const path of ['/metrics', '/api/health']) {
      assert.is((await get(`${url}${path}`, { host })).status, 403, `${host} ${path}`);
    }
  }
  for (const host of ['localhost', `LocalHost:${port}`, '127.0.0.1', `[::1]:${port}`, `metrics.internal:${port}`]) {
    assert.is((await get(`${url}/metrics`, { host })).status, 200, host);
  }
});
door('with the right key any Host will do', async () => {
  const url = await start({ apiKey: KEY });
  assert.is((await get(`${url}/metrics`, { host: 'redoubt:4737', 'x-api-key': KEY })).status, 200);
  assert.is((await get(`${url}/api/health`, { host: 'redoubt:4737', 'x-api-key': 'wrong' })).status, 403);
});
door('everything else is refused in one line', async () => {
  const url = await start();
  for (const [path, method, status] of [
    ['/', 'GET', 404],
    ['/api/health', 'POST', 404],
    ['/metrics/%00', 'GET', 404],
    ['/%ff', 'GET', 400],
  ] as const) {
    const got = await get(`${url}${path}`, {}, method);
    assert.is(got.status, status, path);
    assert.type((JSON.parse(got.text) as { error: string }).error, 'string');
    assert.not.match(got.text, /%00|%ff|\n/);
  }
});
door('so many connections, and no more: descriptors are left for the daemon', async () => {
  const { hostname, port } = new URL(await start());
  let [open, closed] = [0, 0];
  const sockets = Array.from({ length: 70 }, () => createConnection(Number(port), hostname));
  for (const socket of sockets) {
    socket.on('connect', () => open++);
    socket.on('close', () => closed++).on('error', () => {});
  }
  while (open < 70 || closed < 6) await new Promise((done) => setTimeout(done, 5));
  assert.is(closed, 6);
  for (const socket of sockets) socket.destroy();
});
door('IPv6', async () => {
  const url = await start({ listen: { host: '::1', port: 0 } });
  assert.match(url, /^http:\/\/\[::1\]:\d+$/);
  assert.is((await get(`${url}/metrics`)).status, 200);
});
door('an address that is taken is refused with what to do', async () => {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
  const { port } = other.address() as { port: number };
  const listen = { host: '127.0.0.1', port };
  const result = await startHttp({ listen, hosts: [], apiKey: null, daemon, metrics: new Metrics() });
  other.close();
  assert.ok(!result.ok);
  assert.is(
    result.refusal,
    `health and metrics cannot listen on 127.0.0.1:${port} (EADDRINUSE): choose another address with http.listen (REDOUBT_HTTP_LISTEN), or set http.enabled to false`,
  );
});
door.run();
