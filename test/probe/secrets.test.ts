// deadline: 300 s
// runs alone
/**
 * No secret in the main thread (docs/SECURITY.md): heap snapshot, tap on every port, and a scan of the process's memory
 * after lock_key, once keys were created, imported, unlocked and used. Each probe must find a secret that was planted.
 */
import { createCipheriv, createHash, randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { generateSecretKey, getPublicKey, nip19, nip44, verifyEvent } from 'nostr-tools';
import { createNostrConnectURI } from 'nostr-tools/nip46';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { TestDaemon } from '../support/daemon.ts';
import { adminOf, createPolicy, issueToken } from '../support/provision.ts';
import { parseBunkerUrl, RpcClient } from '../support/rpc.ts';
import { until } from '../support/until.ts';
import { openKeyFile } from './key-file.ts';
import { findIn, findInFile, findInMemory, keyNeedle, type Needle, textNeedle } from './scan.ts';

const SIGNATURES = Number(process.env.REDOUBT_PROBE_SIGNATURES ?? 200);
/** Unlocks, and imports: as many of each. */
const UNLOCKS = Number(process.env.REDOUBT_PROBE_UNLOCKS ?? 5);
const IN_FLIGHT = 8;
/** The backend of this run; the fastest that loads when none is named. */
const curve = process.env.REDOUBT_PROBE_CURVE ?? 'auto';

const folder = mkdtempSync(join(tmpdir(), 'redoubt-probe-'));
const tapFile = join(folder, 'tap');
const env: Record<string, string> = {
  REDOUBT_PROBE_TAP: tapFile,
  REDOUBT_CURVE: curve,
  REDOUBT_KEYSTORE_LOG_N: '14',
  REDOUBT_ALLOW_PRIVATE_RELAYS: 'true',
  REDOUBT_APPROVAL_TIMEOUT: '10000',
  REDOUBT_LIMITS_CLIENT_RATE: '100000',
  REDOUBT_LIMITS_CLIENT_BURST: '100000',
};
const daemon = new TestDaemon({ entry: fileURLToPath(new URL('daemon.ts', import.meta.url)), env });

const imported = generateSecretKey();
const client = generateSecretKey();
const passphrases = {
  imported: `import-${randomUUID()}`,
  made: `made-${randomUUID()}`,
  paired: `paired-${randomUUID()}`,
  /** Of no key. */
  wrong: `wrong-${randomUUID()}`,
  mistyped: `mistyped-${randomUUID()}`,
  /** Of `made`, before it was changed. */
  first: `first-${randomUUID()}`,
};
/** Of a nostrconnect:// URI: the plaintext of the connect response. */
const uriSecret = `uri-${randomUUID()}`;
/** What nsecbunkerd would have left in nsecbunker.json: one key under a passphrase, one without. */
const old = { encrypted: generateSecretKey(), plain: generateSecretKey(), passphrase: `old-${randomUUID()}` };
/** In an event that an admin was shown, since no rule answered. */
const shown = `shown ${randomUUID()}`;
const plaintext = `between the two of us ${randomUUID()}`;
/** What the probes have looked through. */
const scanned = { curve: '', needles: 0, snapshotMiB: 0, tapMiB: 0 };
/** Private keys of the keys that are locked before the memory is scanned. */
const lockedKeys: Needle[] = [];
const needles: Needle[] = [];

async function ask(message: { snapshot?: string; plant?: string }): Promise<void> {
  const answered = once(daemon.child, 'message');
  daemon.child.send(message);
  await answered;
}

test.before(async () => {
  await daemon.start();
  await daemon.stop();
  const file = join(daemon.data, 'nsecbunker.json');
  const config = JSON.parse(readFileSync(file, 'utf8'));
  config.keys = { encrypted: encrypt(old.encrypted, old.passphrase), plain: { key: nip19.nsecEncode(old.plain) } };
  writeFileSync(file, JSON.stringify(config));
  rmSync(tapFile);
  await daemon.start();
});
test.after(async () => {
  await daemon.remove();
  rmSync(folder, { recursive: true, force: true });
});

test('keys are created, imported, unlocked and used', async () => {
  const { relay } = daemon.quickstart;
  const admin = await adminOf(daemon);
  for (let i = 1; i <= UNLOCKS; i++) {
    await admin.result('create_new_key', ['imported', passphrases.imported, nip19.nsecEncode(imported)]);
    if (i === UNLOCKS) break;
    await admin.result('delete_key', ['imported']);
    await admin.result('purge_key', ['imported']);
  }
  await admin.result('create_new_key', ['made', passphrases.first]);
  assert.is((await admin.call('change_passphrase', ['made', passphrases.wrong, 'x'])).error, 'wrong passphrase');
  await admin.result('change_passphrase', ['made', passphrases.first, passphrases.made]);
  await admin.result('lock_key', ['made']);
  assert.is(JSON.parse(await admin.result('unlock_key', ['made', 'a wrong passphrase'])).success, false);
  for (let i = 1; i <= UNLOCKS; i++) {
    assert.is(JSON.parse(await admin.result('unlock_key', ['made', passphrases.made])).success, true);
    if (i < UNLOCKS) await admin.result('lock_key', ['made']);
  }
  const machine = { key: 'paired', client_name: 'machine', policy: 'atm-21000' };
  await admin.result('pair', [JSON.stringify({ ...machine, passphrase: passphrases.paired })]);
  await admin.result('pair', [{ ...machine, passphrase: passphrases.wrong, pasphrase: passphrases.mistyped }]);
  for (const passphrase of [passphrases.wrong, old.passphrase]) {
    const { success } = JSON.parse(await admin.result('unlock_key', ['encrypted', passphrase]));
    assert.is(success, passphrase === old.passphrase);
  }
  for (const name of ['made', 'paired']) await admin.result('lock_key', [name]);
  const swept = async (options: unknown) => JSON.parse(await admin.result('unlock_keys', [options])).success;
  const own = { made: passphrases.made, paired: passphrases.paired };
  assert.is(await swept(JSON.stringify({ passphrases: { made: passphrases.wrong, nobody: passphrases.mistyped } })), 0);
  assert.is(await swept({ passphrases: { paired: passphrases.paired } }), 1);
  assert.is(await swept(JSON.stringify({ passphrases: own })), 2);
  assert.is(await swept(JSON.stringify({ passphrase: passphrases.wrong })), 6, 'they are all unlocked');
  const { error = '' } = await admin.call('unlock_keys', [JSON.stringify({ pasphrase: passphrases.mistyped })]);
  assert.match(error, 'either');
  const policy = await createPolicy(admin, 'probe', [
    { method: 'sign_event', kind: 'all' },
    { method: 'nip44_encrypt' },
    { method: 'nip44_decrypt' },
    { method: 'nip04_encrypt' },
    { method: 'nip04_decrypt' },
  ]);
  for (const name of ['imported', 'made', 'encrypted', 'plain']) {
    const { pubkey, secret } = parseBunkerUrl((await issueToken(admin, name, policy)).bunker_url);
    const rpc = await new RpcClient(client, pubkey).open(relay);
    assert.is(await rpc.result('connect', [pubkey, secret]), 'ack');
    const other = getPublicKey(randomBytes(32));
    for (const scheme of ['nip44', 'nip04']) {
      const ciphertext = await rpc.result(`${scheme}_encrypt`, [other, plaintext]);
      assert.is(await rpc.result(`${scheme}_decrypt`, [other, ciphertext]), plaintext);
    }
    await sign(rpc, name === 'imported' ? SIGNATURES : 10);
    if (name === 'made') await signWithApproval(admin, rpc);
    rpc.close();
  }
  const invited = generateSecretKey();
  const remote = parseBunkerUrl(daemon.quickstart.bunker_url).pubkey;
  const app = await new RpcClient(invited, remote).open(relay);
  const uri = createNostrConnectURI({ clientPubkey: app.pubkey, relays: [relay], secret: uriSecret });
  assert.is(await admin.result('connect_client', [uri, 'demo', policy]), '["ok"]');
  assert.is(app.received[0]?.result, uriSecret);
  app.close();
  admin.close();

  lockedKeys.push(keyNeedle('imported key', imported));
  lockedKeys.push(keyNeedle('encrypted key of the old file', old.encrypted));
  lockedKeys.push(keyNeedle('plain key of the old file', old.plain));
  needles.push(textNeedle('passphrase of the old file', old.passphrase));
  needles.push(keyNeedle('unsealing key of the old file', createHash('sha256').update(old.passphrase).digest()));
  needles.push(keyNeedle('conversation key', nip44.getConversationKey(client, getPublicKey(imported))));
  needles.push(textNeedle('plaintext', plaintext), textNeedle('what an admin was shown', shown));
  needles.push(textNeedle("a URI's secret", uriSecret));
  const demo = readFileSync(join(daemon.data, 'passphrase'), 'utf8').trim();
  needles.push(textNeedle('wrong passphrase', passphrases.wrong), textNeedle('mistyped', passphrases.mistyped));
  needles.push(textNeedle('changed passphrase', passphrases.first));
  for (const [name, passphrase] of [
    ['paired', passphrases.paired],
    ['made', passphrases.made],
    ['imported', passphrases.imported],
    ['demo', demo],
  ] as const) {
    needles.push(textNeedle(`passphrase of ${name}`, passphrase));
    const { privateKey, unsealingKey } = openKeyFile(join(daemon.data, 'keystore'), name, passphrase);
    (name === 'demo' || name === 'paired' ? needles : lockedKeys).push(keyNeedle(`private key of ${name}`, privateKey));
    needles.push(keyNeedle(`unsealing key of ${name}`, unsealingKey));
  }
});

test('a heap snapshot of the main thread holds none of the secrets', async () => {
  const snapshot = join(folder, 'main.heapsnapshot');
  await ask({ snapshot });
  assert.equal(findInFile(snapshot, [...needles, ...lockedKeys]), []);
  scanned.needles = needles.length + lockedKeys.length;
  scanned.snapshotMiB = mebibytes(snapshot);
});

test('no message through a port of the main thread holds any of them', () => {
  const tap = readFileSync(tapFile);
  assert.ok(tap.includes('unlock'), 'the tap hears the ports');
  assert.equal(findInFile(tapFile, [...needles, ...lockedKeys]), []);
  scanned.tapMiB = mebibytes(tapFile);
});

test('the database and the output hold none of them', () => {
  assert.equal(findInFile(join(daemon.data, 'nsecbunker.db'), [...needles, ...lockedKeys]), []);
  assert.equal(findInFile(join(daemon.data, 'nsecbunker.db-wal'), [...needles, ...lockedKeys]), []);
  const hits = [...needles, ...lockedKeys].flatMap(({ name, forms }) =>
    forms.filter(({ bytes }) => Buffer.from(daemon.output).includes(bytes)).map(() => name),
  );
  assert.equal(hits, []);
});

test('lock_key leaves no copy of the private key in the process', async () => {
  const before = findInMemory(daemon.pid, lockedKeys);
  assert.ok(before.includes('imported key (raw)'), 'the scan sees the key while it is unlocked');
  const admin = await adminOf(daemon);
  scanned.curve = JSON.parse(await admin.result('get_status')).curve;
  for (const name of ['imported', 'made', 'encrypted', 'plain']) {
    assert.is(await admin.result('lock_key', [name]), '["ok"]');
  }
  admin.close();
  assert.equal(findInMemory(daemon.pid, lockedKeys), []);
});

test('what autounlock works with does not pass the main thread either, from files or from the environment', async () => {
  const file = join(daemon.data, 'passphrase');
  const own = join(daemon.data, 'own.json');
  const unlocked = needles.filter(({ name }) => /of (demo|paired)$/.test(name));
  assert.is(unlocked.length, 6, 'passphrase, private key and unsealing key of each');
  writeFileSync(own, JSON.stringify({ paired: passphrases.paired }), { mode: 0o600 });
  env.REDOUBT_AUTOUNLOCK_PASSPHRASES_FILE = own;
  for (const [name, value] of [
    ['NSECBUNKER_AUTOUNLOCK_PASSPHRASE', readFileSync(file, 'utf8').trim()],
    ['NSECBUNKER_AUTOUNLOCK_PASSPHRASE_FILE', file],
  ] as const) {
    await daemon.stop();
    const [printed, tapped] = [daemon.output.length, statSync(tapFile).size];
    env[name] = value;
    await daemon.start();
    delete env[name];
    assert.match(daemon.output.slice(printed), 'unlocked 2/2 keys');
    const snapshot = join(folder, 'autounlock.heapsnapshot');
    await ask({ snapshot });
    assert.equal(findInFile(snapshot, unlocked), []);
    assert.equal(findIn(readFileSync(tapFile).subarray(tapped), unlocked), []);
    assert.equal(findIn(Buffer.from(daemon.output.slice(printed)), unlocked), []);
  }
});

test('each probe finds a secret that was planted', async () => {
  const secret = randomBytes(32);
  const planted = [keyNeedle('planted', secret)];
  await ask({ plant: secret.toString('hex') });
  assert.ok(findInFile(tapFile, planted).includes('planted (raw)'), 'the tap');
  assert.ok(findInMemory(daemon.pid, planted).includes('planted (raw)'), 'the memory scan');
  const snapshot = join(folder, 'planted.heapsnapshot');
  await ask({ snapshot });
  assert.ok(findInFile(snapshot, planted).includes('planted (hex)'), 'the heap snapshot');
  const done = { signatures: SIGNATURES, unlocks: UNLOCKS, imports: UNLOCKS, ...scanned };
  console.log(`R1,R2 ${JSON.stringify({ ...done, found: 0, foundWherePlanted: 3 })}`);
});

const mebibytes = (file: string) => Math.round(statSync(file).size / 2 ** 20);

/** AES-256-CBC under SHA-256 of the passphrase, as nsecbunkerd did it. */
function encrypt(key: Uint8Array, passphrase: string): { iv: string; data: string } {
  const iv = randomBytes(16);
  const cipher = createCipheriv('aes-256-cbc', createHash('sha256').update(passphrase).digest(), iv);
  const data = Buffer.concat([cipher.update(nip19.nsecEncode(key as Uint8Array<ArrayBuffer>)), cipher.final()]);
  return { iv: iv.toString('hex'), data: data.toString('hex') };
}

/** No rule answers for this kind: an admin is shown the event, and allows it once. */
async function signWithApproval(admin: RpcClient, rpc: RpcClient): Promise<void> {
  const template = { kind: 22242, content: shown, tags: [], created_at: Math.floor(Date.now() / 1000) };
  const answer = rpc.result('sign_event', [JSON.stringify(template)]);
  const question = () => admin.deliveries.find(({ text }) => text.includes('"acl"'));
  await until('an admin is asked', () => question() !== undefined);
  const { id } = JSON.parse(question()!.text) as { id: string };
  admin.sendEvent(admin.request('', [], { body: JSON.stringify({ id, result: '["once"]' }) }).event);
  assert.match(await answer, shown);
}

async function sign(rpc: RpcClient, count: number): Promise<void> {
  let left = count;
  const lane = async () => {
    while (left-- > 0) {
      const template = JSON.stringify({ kind: 1, content: `note ${left}`, tags: [], created_at: 1_700_000_000 });
      const event = JSON.parse(await rpc.result('sign_event', [template]));
      if (left % 100 === 0) assert.ok(verifyEvent(event));
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
}

test.run();
