import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MessageChannel, Worker } from 'node:worker_threads';
import { getPublicKey, nip19 } from 'nostr-tools';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Link } from '../../src/actor/link.ts';
import type { AdminToMain, MainToAdmin, QuickstartMade } from '../../src/admin/protocol.ts';
import type { AdminToPolicy, PolicyToAdmin } from '../../src/policy/protocol.ts';
import { MainThread, mainHandlers, RELAYS, Records, TestClock } from './stage.ts';

const root = mkdtempSync(join(tmpdir(), 'redoubt-quickstart-'));
test.after(() => rmSync(root, { recursive: true }));

/** One start of a daemon with its admin actor in a thread; the records and the unlocked keys are what the caller has. */
async function start(data: string, records: Records, main: MainThread) {
  const worker = new Worker(new URL('../../workers/admin.ts', import.meta.url), { env: {} });
  const link = new Link<MainToAdmin, AdminToMain>(worker, mainHandlers(main, records));
  const opened = await link.ask('open', { curve: null, configPath: '', quickstart: data });
  const { port1, port2 } = new MessageChannel();
  new Link<PolicyToAdmin, AdminToPolicy>(port1, records.handlers);
  link.tell('policy', { port: port2 }, [port2]);
  void link.ask('settings', {
    relays: RELAYS,
    adminRelays: [],
    maxClockSkew: 600,
    admins: [],
    maxContent: 262_144,
    approvalTimeout: 10_000,
    allowPrivateRelays: false,
    configured: [],
  });
  const made: QuickstartMade = opened.ok
    ? await link.ask('quickstart', { data })
    : { ok: false, refusal: opened.refusal };
  await link.ask('close', null);
  port1.close();
  await worker.terminate();
  return { opened, made };
}

test('an empty folder: identity, passphrase, configuration, key, policy and one URL', async () => {
  const data = join(root, 'new', 'data');
  const records = new Records(new TestClock());
  const main = new MainThread();
  const { opened, made } = await start(data, records, main);
  if (!opened.ok || !made.ok) throw new Error('refused');

  assert.is(statSync(data).mode & 0o777, 0o700);
  assert.equal(readdirSync(data).sort(), ['admin.nsec', 'connection.txt', 'nsecbunker.json', 'passphrase']);
  for (const file of readdirSync(data)) assert.is(statSync(join(data, file)).mode & 0o777, 0o600, file);
  const read = (file: string) => readFileSync(join(data, file), 'utf8').trim();
  const nsec = nip19.decode(read('admin.nsec'));
  if (nsec.type !== 'nsec') throw new Error('no nsec');
  assert.is(made.adminNpub, nip19.npubEncode(getPublicKey(nsec.data)));
  const config = JSON.parse(read('nsecbunker.json'));
  assert.equal(config.admin.npubs, [made.adminNpub]);
  assert.is(getPublicKey(Buffer.from(config.admin.key, 'hex')), opened.daemonPubkey);
  assert.not('database' in config, 'the folder may be moved');
  assert.equal(config.redoubt, { quickstart: true });
  assert.equal(opened.config.adminPubkeys, [getPublicKey(nsec.data)]);
  assert.match(read('passphrase'), /^[A-Za-z0-9_-]{32}$/);

  assert.is(made.connectionString, read('connection.txt'));
  assert.equal(main.got, [{ name: 'demo', passphrase: read('passphrase') }]);
  const granted = ['sign_event', 'nip44_encrypt', 'nip44_decrypt', 'nip04_encrypt', 'nip04_decrypt'];
  assert.equal(
    records.policies.map(({ name, rules }) => [name, rules.map((rule) => rule.method)]),
    [['demo', granted]],
  );
  assert.is(records.policies[0]!.rules[0]!.kind, 'all');
  const [token] = records.tokens;
  assert.is(token!.expiresAt! - token!.createdAt >= 3_590_000, true);
  assert.equal(
    [made.keyName, made.redeemed, made.bunkerUrl, made.passphraseFile],
    [
      'demo',
      false,
      `bunker://${records.keys[0]!.pubkey}?relay=ws%3A%2F%2F127.0.0.1%3A4736&relay=wss%3A%2F%2Fb.example.com&secret=${token!.secret}`,
      join(data, 'passphrase'),
    ],
  );
});

test('later starts: the same identity, a fresh URL until one was used, and that one from then on', async () => {
  const data = join(root, 'again');
  const records = new Records(new TestClock());
  const main = new MainThread();
  const first = await start(data, records, main);
  main.unlocked.clear();
  const before = readFileSync(join(data, 'nsecbunker.json'), 'utf8');
  const second = await start(data, records, main);
  if (!first.made.ok || !second.made.ok || !first.opened.ok || !second.opened.ok) throw new Error('refused');
  assert.is(readFileSync(join(data, 'nsecbunker.json'), 'utf8'), before);
  assert.is(second.opened.daemonPubkey, first.opened.daemonPubkey);
  assert.is(second.made.adminNpub, first.made.adminNpub);
  assert.is(main.unlocked.has('demo'), true, 'unlocked with the passphrase file');
  assert.is(main.got.length, 1, 'and made just once');
  assert.is.not(second.made.bunkerUrl, first.made.bunkerUrl);
  assert.equal(
    records.tokens.map((token) => token.revokedAt === null),
    [false, true],
    'just one URL is good',
  );
  assert.is(records.policies.length, 1);

  records.tokens[1]!.redeemedAt = 1;
  const third = await start(data, records, main);
  if (!third.made.ok) throw new Error('refused');
  assert.equal([third.made.redeemed, third.made.bunkerUrl], [true, second.made.bunkerUrl]);
  assert.is(records.tokens.length, 2);
});

test('a demonstration key that was locked on purpose stays locked', async () => {
  const data = join(root, 'locked');
  const records = new Records(new TestClock());
  const main = new MainThread();
  await start(data, records, main);
  main.unlocked.clear();
  records.keys[0]!.lockedAt = 1;
  const { made } = await start(data, records, main);
  assert.ok(made.ok);
  assert.is(main.unlocked.size, 0);
});

test('folders that are not taken, each with its reason', async () => {
  const refusal = async (data: string) => {
    const { opened } = await start(data, new Records(new TestClock()), new MainThread());
    if (opened.ok) throw new Error('accepted');
    assert.is(opened.exitCode, 78);
    return opened.refusal;
  };
  const configured = join(root, 'configured');
  mkdirSync(configured);
  writeFileSync(join(configured, 'nsecbunker.json'), JSON.stringify({ admin: { key: '1'.repeat(64) } }));
  assert.match(await refusal(configured), /is a configuration that no quickstart made/);
  assert.equal(readdirSync(configured), ['nsecbunker.json']);

  const lost = join(root, 'lost');
  await start(lost, new Records(new TestClock()), new MainThread());
  rmSync(join(lost, 'admin.nsec'));
  assert.match(await refusal(lost), /admin.nsec is missing: put the admin's nsec back/);
  writeFileSync(join(lost, 'admin.nsec'), 'nonsense');
  assert.match(await refusal(lost), /admin.nsec holds no nsec/);

  const sealed = join(root, 'sealed');
  mkdirSync(join(sealed, 'keystore'), { recursive: true });
  writeFileSync(join(sealed, 'keystore', `${'a'.repeat(64)}.json`), '{}');
  assert.match(await refusal(sealed), /passphrase is missing, and .* holds keys under it/);

  writeFileSync(join(root, 'file'), '');
  assert.match(await refusal(join(root, 'file', 'data')), /cannot be written \(ENOTDIR\)/);
});

test('what a crash left half made is completed', async () => {
  const data = join(root, 'half');
  await start(data, new Records(new TestClock()), new MainThread());
  const nsec = readFileSync(join(data, 'admin.nsec'), 'utf8');
  rmSync(join(data, 'nsecbunker.json'));
  rmSync(join(data, 'passphrase'));
  const { opened, made } = await start(data, new Records(new TestClock()), new MainThread());
  assert.ok(opened.ok && made.ok);
  assert.is(readFileSync(join(data, 'admin.nsec'), 'utf8'), nsec);
});

test.run();
