// deadline: 90 s
/** SIGHUP: the configuration is read again while the daemon runs. */
import { writeFileSync } from 'node:fs';
import { generateSecretKey, getPublicKey, nip19 } from 'nostr-tools';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { WebSocketServer } from 'ws';
import { runCli } from '../support/cli.ts';
import { ProductionDaemon } from '../support/production.ts';
import { createPolicy, issueToken } from '../support/provision.ts';
import { parseBunkerUrl, RpcClient } from '../support/rpc.ts';
import { until } from '../support/until.ts';

const daemon = new ProductionDaemon();
const other = generateSecretKey();
const npubs = [daemon.admin, other].map((key) => nip19.npubEncode(getPublicKey(key)));
const adminKey = Buffer.from(daemon.key).toString('hex');
let client: RpcClient;

test.before(async () => {
  daemon.write();
  await daemon.start();
  const admin = await daemon.openAdmin();
  await admin.result('create_new_key', ['alice', 'a passphrase']);
  const policy = await createPolicy(admin, 'notes', [{ method: 'sign_event', kind: 1 }]);
  const { pubkey, secret } = parseBunkerUrl((await issueToken(admin, 'alice', policy)).bunker_url);
  client = await new RpcClient(generateSecretKey(), pubkey).open(daemon.connection().relay);
  assert.is(await client.result('connect', [pubkey, secret]), 'ack');
  admin.close();
});
test.after(async () => {
  client?.close();
  await daemon.remove();
});

const health = async () => (await fetch(`${daemon.http}/api/health`)).json() as Promise<{ relays: object }>;

test('a file that did not change changes nothing', async () => {
  const { level, changed, needRestart } = await daemon.reload();
  assert.equal([level, changed, needRestart], ['info', '', '']);
});

test("limits are in force in a key's running thread, and the session goes on", async () => {
  const ping = () => client.call('ping');
  assert.equal((await Promise.all(Array.from({ length: 8 }, ping))).filter(({ error }) => error).length, 0);
  daemon.write({ redoubt: { limits: { clientRate: 0.01, clientBurst: 3 } } });
  const { changed, needRestart } = await daemon.reload();
  assert.equal([changed, needRestart], ['limits.clientRate, limits.clientBurst', '']);
  const errors = (await Promise.all(Array.from({ length: 8 }, ping))).map(({ error }) => error ?? 'ok');
  assert.equal(errors.sort(), [...Array(3).fill('ok'), ...Array(5).fill('rate limited')]);
  daemon.write();
  await daemon.reload();
  assert.is((await client.call('ping')).result, 'pong');
});

test('relays that were added are connected, advertised, and told to clients; those that were removed are left', async () => {
  const relay = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  relay.on('connection', (socket) => {
    socket.on('message', (data) => {
      const [type, id] = JSON.parse(String(data));
      if (type === 'REQ') socket.send(JSON.stringify(['EOSE', id]));
    });
  });
  await new Promise((resolve) => relay.once('listening', resolve));
  const url = `ws://127.0.0.1:${(relay.address() as { port: number }).port}`;
  try {
    daemon.write({ nostr: { relays: [url] } });
    assert.is((await daemon.reload()).changed, 'relays, adminRelays');
    await until('it is connected', () => relay.clients.size === 1);
    assert.ok(url in (await health()).relays);
    assert.equal(JSON.parse(await client.result('switch_relays')), [url]);
    daemon.write();
    await daemon.reload();
    await until('it is left', () => relay.clients.size === 0);
    assert.not.ok(url in (await health()).relays);
  } finally {
    for (const socket of relay.clients) socket.terminate();
    relay.close();
  }
});

test('an admin who was added may administrate, one who was removed may not', async () => {
  const late = await daemon.openAdmin(other);
  assert.match((await late.call('get_keys')).error ?? '', 'not');
  daemon.write({ admin: { key: adminKey, npubs } });
  assert.is((await daemon.reload()).changed, 'admins');
  assert.match(await late.result('get_keys'), 'alice');
  daemon.write();
  await daemon.reload();
  const heard = late.received.length;
  const { event } = late.send('get_policies', []);
  await late.submit(event);
  const admin = await daemon.openAdmin();
  assert.match(await admin.result('get_keys'), 'alice');
  admin.close();
  // A stranger hears that it is one once a minute, and this one has.
  assert.is(late.received.length, heard);
  late.close();
});

test('what needs a restart is named, and stays as it was', async () => {
  daemon.write({ admin: { key: '1'.repeat(64), npubs: npubs.slice(0, 1) }, redoubt: { blankWorkers: 1 } });
  const { changed, needRestart } = await daemon.reload();
  assert.equal([changed, needRestart], ['', 'blankWorkers, admin.key']);
  assert.is((await client.call('ping')).result, 'pong');
  daemon.write();
  await daemon.reload();
});

test('a file that is broken changes nothing, and the log says why', async () => {
  const wrong: [file: string, why: RegExp][] = [
    ['{ "admin": ', /nothing was changed: .*nsecbunker\.json: is not JSON/],
    [JSON.stringify({ admin: {} }), /nothing was changed: .*admin\.key is missing/],
    [
      JSON.stringify({ admin: { key: adminKey, npubs: [] }, redoubt: { limits: { clientRate: 'fast' } } }),
      /nothing was changed: nsecbunker\.json: redoubt\.limits\.clientRate: expected number/,
    ],
    [JSON.stringify({ admin: { key: adminKey } }), /nothing was changed: there is no relay/],
  ];
  for (const [file, why] of wrong) {
    writeFileSync(daemon.config, file);
    const { level, msg } = await daemon.reload();
    assert.is(level, 'error');
    assert.match(msg, why);
    // The same program says the same before anybody has to be sorry.
    const checked = await runCli(['config', 'check', '--config', daemon.config]);
    assert.is(checked.code, 78);
    assert.match(checked.stderr, /^redoubt: /);
  }
  assert.is((await client.call('ping')).result, 'pong');
  const admin = await daemon.openAdmin();
  assert.match(await admin.result('get_keys'), 'alice');
  admin.close();
});

test('levels of the log', async () => {
  daemon.write({ redoubt: { log: { levels: ['key=debug'] } } });
  await daemon.reload();
  const { event, response } = client.send('ping', []);
  await response;
  const line = () => daemon.lines().find(({ request }) => request === event.id);
  await until('the request is logged', () => line() !== undefined);
  const { level, module, key, method, outcome, client: who } = line()!;
  assert.equal(
    { level, module, key, method, outcome, who },
    { level: 'debug', module: 'key', key: 'alice', method: 'ping', outcome: 'allowed', who: client.pubkey },
  );
  daemon.write();
  await daemon.reload();
  const quiet = client.send('ping', []);
  await quiet.response;
  await client.call('ping');
  assert.not.ok(daemon.lines().some(({ request }) => request === quiet.event.id));
});

test.run();
