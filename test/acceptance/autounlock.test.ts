// deadline: 120 s
/** A restart that nobody attends: keys are unlocked, requests wait for it, and what cannot be unlocked is named. */
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateSecretKey, getPublicKey, nip44 } from 'nostr-tools';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { runCli } from '../support/cli.ts';
import { TestDaemon } from '../support/daemon.ts';
import { scrape } from '../support/metrics.ts';
import { adminOf, createPolicy, issueToken } from '../support/provision.ts';
import { parseBunkerUrl, RpcClient } from '../support/rpc.ts';

const data = mkdtempSync(join(tmpdir(), 'redoubt-autounlock-'));
const passphraseFile = join(data, 'passphrase');
const ownFile = join(data, 'own.json');
// The sweep takes most of a second, so that requests arrive during it on a busy machine too.
const env: Record<string, string> = { REDOUBT_KEYSTORE_LOG_N: '17' };
const daemon = new TestDaemon({ data, env });

const bob = generateSecretKey();
const clients = new Map<string, { pubkey: string; secretKey: Uint8Array }>();

test.before(async () => {
  await daemon.start();
});
test.after(async () => {
  await daemon.remove();
  rmSync(data, { recursive: true, force: true });
});

const admin = () => adminOf(daemon);

/** The relay takes connections long before the daemon is ready. */
async function openEarly(client: RpcClient, relay: string): Promise<RpcClient> {
  for (;;) {
    try {
      return await client.open(relay);
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}

const secretText = (name: string) => `to ${name} from bob`;
/** What bob has sent to the key. */
const sealed = (pubkey: string, text: string) => nip44.encrypt(text, nip44.getConversationKey(bob, pubkey));

/** Asks each of the keys, from the first moment on, what bob has sent it. */
async function askEarly(names: readonly string[], relay: string) {
  return Promise.all(
    names.map(async (name) => {
      const { pubkey, secretKey } = clients.get(name)!;
      const client = await openEarly(new RpcClient(secretKey, pubkey), relay);
      const { event } = client.request('nip44_decrypt', [getPublicKey(bob), sealed(pubkey, secretText(name))], {
        id: `early-${name}`,
      });
      const isEarly = !daemon.output.slice(printed).includes('autounlock: enabled');
      const answer = client.next(`early-${name}`);
      const { ok, reason } = await client.submit(event);
      assert.ok(ok, reason);
      const { result, error } = await answer;
      client.close();
      return { name, result, error, isEarly };
    }),
  );
}

/** Where the output of this run begins. */
let printed = 0;

async function restart(change: Record<string, string | undefined>, meanwhile: (relay: string) => Promise<void>) {
  const { relay } = daemon.quickstart;
  await daemon.stop();
  for (const [name, value] of Object.entries(change)) {
    if (value === undefined) delete env[name];
    else env[name] = value;
  }
  printed = daemon.output.length;
  await Promise.all([daemon.start(), meanwhile(relay)]);
}

const lines = () =>
  daemon.output
    .slice(printed)
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as { level: string; msg: string });

async function health(): Promise<{ code: number; reasons: string[] }> {
  const response = await fetch(daemon.quickstart.health_url);
  return { code: response.status, reasons: ((await response.json()) as { reasons: string[] }).reasons };
}

test('two keys, paired, and the daemon is started again: both decrypt, and nobody did anything', async () => {
  const rpc = await admin();
  const passphrase = readFileSync(passphraseFile, 'utf8').trim();
  for (const [name, of] of [
    ['alpha', passphrase],
    ['beta', passphrase],
    ['apart', 'a passphrase of its own'],
  ] as const) {
    const { error } = await rpc.call('create_new_key', [name, of], { timeoutMs: 60_000 });
    assert.is(error, undefined);
  }
  const policy = await createPolicy(rpc, 'decrypt', [{ method: 'nip44_decrypt' }]);
  for (const name of ['alpha', 'beta', 'apart']) {
    const { pubkey, secret } = parseBunkerUrl((await issueToken(rpc, name, policy)).bunker_url);
    const secretKey = generateSecretKey();
    const client = await new RpcClient(secretKey, pubkey).open(daemon.quickstart.relay);
    assert.is(await client.result('connect', [pubkey, secret]), 'ack');
    client.close();
    clients.set(name, { pubkey, secretKey });
  }
  rpc.close();

  const nsec = daemon.adminSecretKey();
  const { daemon_pubkey } = daemon.quickstart;
  await restart({ NSECBUNKER_AUTOUNLOCK_PASSPHRASE_FILE: passphraseFile }, async (relay) => {
    const asked = askEarly(['alpha', 'beta'], relay);
    const { data: adminKey } = (await import('nostr-tools/nip19')).decode(nsec) as { data: Uint8Array };
    const early = await openEarly(new RpcClient(adminKey, daemon_pubkey, 24134), relay);
    assert.is(await early.result('ping'), 'ok');
    assert.not.ok(daemon.output.slice(printed).includes('autounlock: enabled'), 'admins are answered during the sweep');
    early.close();
    for (const { name, result, error, isEarly } of await asked) {
      assert.is(error, undefined, name);
      assert.is(result, secretText(name));
      assert.ok(isEarly, `${name} was asked before the keys were unlocked`);
    }
  });
});

test('the log says of each key what came of it, and so do the gauges and health', async () => {
  const said = lines().filter(({ msg }) => msg.startsWith('autounlock: '));
  assert.equal(
    said
      .slice(0, -2)
      .map(({ level, msg }) => `${level} ${msg}`)
      .sort(),
    [
      'error autounlock: apart failed: wrong passphrase',
      'info autounlock: unlocked alpha',
      'info autounlock: unlocked beta',
      'info autounlock: unlocked demo',
    ],
  );
  assert.is(said.at(-2)!.level, 'warn');
  assert.match(said.at(-2)!.msg, /^autounlock: still locked: apart \(/);
  assert.is(said.at(-1)!.level, 'info');
  assert.match(
    said.at(-1)!.msg,
    /^autounlock: enabled \(source=NSECBUNKER_AUTOUNLOCK_PASSPHRASE_FILE\), unlocked 3\/4 keys in \d+ms$/,
  );
  const all = lines().map(({ msg }) => msg);
  assert.ok(all.indexOf('ready') > all.indexOf(said.at(-1)!.msg), 'it is ready when requests are taken');

  const metrics = await scrape(daemon);
  assert.match(metrics, /^nsecbunkerd_keys_unlocked_total 3$/m);
  assert.match(metrics, /^nsecbunkerd_keys_locked_total 1$/m);
  assert.equal(await health(), { code: 503, reasons: ['autounlock is incomplete: apart (wrong passphrase)'] });
  const { pubkey, secretKey } = clients.get('apart')!;
  const client = await new RpcClient(secretKey, pubkey).open(daemon.quickstart.relay);
  await client.submit(client.request('ping', []).event);
  assert.equal(client.received, [], 'a key that is still locked answers nothing');
  const rpc = await admin();
  await rpc.result('unlock_key', ['apart', 'a passphrase of its own']);
  assert.equal(await health(), { code: 200, reasons: [] });
  assert.is(await client.result('ping'), 'pong');
  client.close();
  rpc.close();
});

test('keys with a passphrase of their own have a file; what was locked on purpose stays locked', async () => {
  const rpc = await admin();
  await rpc.result('lock_key', ['beta']);
  rpc.close();
  writeFileSync(ownFile, JSON.stringify({ apart: 'a passphrase of its own', nobody: 'x' }));
  chmodSync(ownFile, 0o640);
  const passphrase = readFileSync(passphraseFile, 'utf8').trim();
  await restart(
    {
      NSECBUNKER_AUTOUNLOCK_PASSPHRASE_FILE: undefined,
      NSECBUNKER_AUTOUNLOCK_PASSPHRASE: passphrase,
      REDOUBT_AUTOUNLOCK_PASSPHRASES_FILE: ownFile,
    },
    async (relay) => {
      for (const { name, result } of await askEarly(['alpha', 'apart'], relay)) assert.is(result, secretText(name));
    },
  );
  const said = lines().filter(({ msg }) => /autounlock/i.test(msg));
  const warnings = said.filter(({ level }) => level === 'warn').map(({ msg }) => msg);
  assert.is(warnings.length, 2);
  assert.match(warnings[0]!, /^REDOUBT_AUTOUNLOCK_PASSPHRASES_FILE: .*group or others.*600$/);
  assert.match(warnings[1]!, /^autounlock: 1 entries of .* are for no key/);
  assert.ok(said.some(({ msg }) => msg === 'autounlock: passed over beta (locked on purpose)'));
  const source = 'NSECBUNKER_AUTOUNLOCK_PASSPHRASE,REDOUBT_AUTOUNLOCK_PASSPHRASES_FILE';
  assert.ok(said.at(-1)!.msg.startsWith(`autounlock: enabled (source=${source}), unlocked 3/3 keys in `));
  assert.equal(await health(), { code: 200, reasons: [] });
  const again = await admin();
  const keys = JSON.parse(await again.result('get_keys')) as { name: string; locked: boolean }[];
  assert.equal(
    keys.filter(({ locked }) => locked).map(({ name }) => name),
    ['beta'],
  );
  again.close();
});

test('a lock that comes during the sweep wins, for one key and for all', async () => {
  for (const [method, params, stillOpen] of [
    ['lock_key', ['alpha'], ['apart', 'demo']],
    ['lock_keys', [], []],
  ] as const) {
    const nsec = daemon.adminSecretKey();
    const { daemon_pubkey } = daemon.quickstart;
    await restart({}, async (relay) => {
      const { data: adminKey } = (await import('nostr-tools/nip19')).decode(nsec) as { data: Uint8Array };
      const early = await openEarly(new RpcClient(adminKey, daemon_pubkey, 24134), relay);
      await early.result(method, [...params]);
      assert.not.ok(daemon.output.slice(printed).includes('autounlock: enabled'), 'it came during the sweep');
      early.close();
    });
    const rpc = await admin();
    const keys = JSON.parse(await rpc.result('get_keys')) as { name: string; locked: boolean }[];
    const open = keys.filter(({ locked }) => !locked).map(({ name }) => name);
    assert.equal(open.sort(), [...stillOpen]);
    assert.equal(await health(), { code: 200, reasons: [] });
    rpc.close();
  }
});

test('what is wrong with the variables is named, and the daemon does not start', async () => {
  const start = ['start', '--quickstart', '--data', join(data, 'refused'), '--port', '0', '--http-port', '0'];
  const missing = join(data, 'missing');
  for (const [wrong, said] of [
    [
      { NSECBUNKER_AUTOUNLOCK_PASSPHRASE: 'hunter2!', NSECBUNKER_AUTOUNLOCK_PASSPHRASE_FILE: passphraseFile },
      /are both set: the configuration is ambiguous/,
    ],
    [{ NSECBUNKER_AUTOUNLOCK_PASSPHRASE_FILE: missing }, /passphrase file .*missing does not exist/],
  ] as const) {
    const { code, stderr } = await runCli(start, { env: wrong });
    assert.is(code, 78, stderr);
    assert.match(stderr, said);
    assert.match(stderr.trimEnd().split('\n').at(-1)!, /^redoubt: NSECBUNKER_AUTOUNLOCK_PASSPHRASE/);
    assert.not.match(stderr, 'hunter2!');
  }
});

test.run();
