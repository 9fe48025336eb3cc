// deadline: 120 s
/**
 * An installation of nsecbunkerd 0.10.5, taken over as it lies there: its clients sign with the keys that they stored,
 * through a relay, without connecting again.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import Database from 'better-sqlite3';
import { generateSecretKey, getPublicKey, nip44, verifyEvent } from 'nostr-tools';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { AdoptedDaemon, FIXTURE_DATABASE, truth } from '../support/adopted.ts';
import { runCli } from '../support/cli.ts';
import { RpcClient } from '../support/rpc.ts';
import { create, findMany, misfits, models } from './prisma-sql.ts';

const daemon = new AdoptedDaemon();
const digest = () => createHash('sha256').update(readFileSync(daemon.config)).digest('hex');
const before = digest();

test.before(async () => {
  await daemon.start();
});
test.after(() => daemon.remove());

const template = (kind: number) =>
  JSON.stringify({ kind, content: crypto.randomUUID(), tags: [], created_at: Math.floor(Date.now() / 1000) });

/** `ok`, or the error that the client reads. */
async function sign(client: RpcClient, kind: number): Promise<string> {
  const { result, error } = await client.call('sign_event', [template(kind)]);
  if (error !== undefined) return error;
  const event = JSON.parse(result);
  assert.ok(verifyEvent(event));
  assert.equal([event.kind, event.pubkey], [kind, client.remote]);
  return 'ok';
}

/** Whether a client of the fixture may do it. */
async function may(clientName: string, key: string, kinds: number[]): Promise<boolean[]> {
  const client = await daemon.client(clientName, key);
  const answers: boolean[] = [];
  for (const kind of kinds) answers.push((await sign(client, kind)) === 'ok');
  client.close();
  return answers;
}

async function unlock(name: string, passphrase: string): Promise<{ success: boolean; error?: string }> {
  const admin = await daemon.admin();
  try {
    return JSON.parse(await admin.result('unlock_key', [name, passphrase]));
  } finally {
    admin.close();
  }
}

test('an unencrypted key is there from the start, the others are locked, the deleted one is gone', async () => {
  const admin = await daemon.admin();
  const keys = JSON.parse(await admin.result('get_keys')) as { name: string; npub?: string; locked: boolean }[];
  admin.close();
  assert.equal(
    keys.map(({ name, npub, locked }) => [name, locked, npub !== undefined]),
    [
      ['lnbits-acct-1', true, false],
      ['spire-7f3c9a', true, false],
      ['alice@example.com', false, true],
      ['lnbits-acct-2', true, false],
    ],
  );
  assert.equal(await may('manual', 'alice@example.com', [1, 4]), [true, false]);
  assert.equal(await may('banned', 'alice@example.com', [1]), [false]);
});

test('a wrong passphrase is recognised, for a key that has no row too, and changes nothing', async () => {
  for (const name of ['lnbits-acct-1', 'lnbits-acct-2']) {
    assert.equal(await unlock(name, 'not the passphrase'), { success: false, error: 'wrong passphrase' });
  }
  assert.equal(await unlock('nobody', truth.passphrase).then(({ success }) => success), false);
  const admin = await daemon.admin();
  const locked = (JSON.parse(await admin.result('get_keys')) as { locked: boolean }[]).filter((key) => key.locked);
  assert.is(locked.length, 3);
  // A record of it is made once its public key is known, and not before.
  const { error } = await admin.call('issue_token', [
    JSON.stringify({ key: 'lnbits-acct-2', client_name: 'x', policy_id: 1 }),
  ]);
  assert.match(error ?? '', 'unlock it once');
  admin.close();
  assert.equal(daemon.rows(`SELECT 1 FROM "Key" WHERE keyName = 'lnbits-acct-2'`), []);
});

test('keys unlock with their old passphrase, by name and in a sweep', async () => {
  assert.equal(await unlock('spire-7f3c9a', truth.passphrase), { success: true });
  const admin = await daemon.admin();
  const swept = JSON.parse(await admin.result('unlock_keys', [JSON.stringify({ passphrase: truth.passphrase })]));
  assert.equal(swept, { success: 4, total: 4, failed: [] });
  const { error } = await admin.call('unlock_key', ['retired-key', truth.passphrase]);
  assert.is(error, undefined, 'the answer is in the result');
  admin.close();
  const rows = daemon.rows(`SELECT pubkey FROM "Key" WHERE keyName = 'lnbits-acct-2'`);
  assert.equal(rows, [{ pubkey: truth.keys['lnbits-acct-2']!.pubkey }]);
});

test('a deleted key stays deleted', async () => {
  const answer = await unlock('retired-key', truth.passphrase);
  assert.is(answer.success, false);
  assert.match(answer.error ?? '', 'no key named');
});

test('stored pairings sign at once, and may do what they could', async () => {
  assert.equal(await may('lnbits1', 'lnbits-acct-1', [1, 21000]), [true, true]);
  assert.equal(await may('lnbits2', 'lnbits-acct-2', [1]), [true]);
  assert.equal(await may('spire', 'spire-7f3c9a', [21000, 1]), [true, false]);
  assert.equal(await may('spire_expired', 'spire-7f3c9a', [21000]), [true]);
  assert.equal(await may('stolen', 'spire-7f3c9a', [21000]), [false]);
  assert.equal(await may('counted', 'lnbits-acct-1', [1, 1, 1, 1]), [true, true, true, false]);
  assert.equal(await may('old_policy', 'lnbits-acct-1', [1]), [false]);

  const other = generateSecretKey();
  const text = 'between the two of us';
  const lnbits = await daemon.client('lnbits1', 'lnbits-acct-1');
  const ciphertext = await lnbits.result('nip44_encrypt', [getPublicKey(other), text]);
  assert.is(nip44.decrypt(ciphertext, nip44.getConversationKey(other, lnbits.remote)), text);
  lnbits.close();
  const spire = await daemon.client('spire', 'spire-7f3c9a');
  const sent = nip44.encrypt(text, nip44.getConversationKey(other, spire.remote));
  assert.is(await spire.result('nip44_decrypt', [getPublicKey(other), sent]), text);
  spire.close();
});

test('`all` goes on meaning all in an adopted installation', async () => {
  assert.equal(await may('lnbits1', 'lnbits-acct-1', [22242, 27235, 62]), [true, true, true]);
});

test('admins are asked about a stranger in an adopted installation, as nsecbunkerd asked them', async () => {
  const remote = truth.keys['lnbits-acct-1']!.pubkey;
  const stranger = await new RpcClient(generateSecretKey(), remote).open(daemon.relay);
  const admin = await daemon.admin();
  let asked = 0;
  admin.socket.on('message', () => asked++);
  const { error } = await stranger.call('connect', [remote]);
  assert.is(error, 'not authorized');
  assert.ok(asked > 0);
  admin.close();
  stranger.close();
});

test('a token that nsecbunkerd issued is redeemed once', async () => {
  const token = truth.tokens.find(({ redeemed }) => !redeemed)!;
  const remote = truth.keys[token.key]!.pubkey;
  const newcomer = await daemon.client('newcomer', token.key);
  assert.is(await newcomer.result('connect', [remote, token.token]), 'ack');
  assert.is(await sign(newcomer, 21000), 'ok');
  newcomer.close();
  const thief = await new RpcClient(generateSecretKey(), remote).open(daemon.relay);
  assert.is((await thief.call('connect', [remote, token.token])).error, 'token already redeemed');
  thief.close();
});

test('without the photocopies clients may do what their tokens and admins allow, and no more', async () => {
  const byHand = () => daemon.rows('SELECT id FROM "SigningCondition" WHERE id IN (8, 9, 10, 11) ORDER BY id');
  const kept = byHand();
  const command = ['strip-photocopies', '--json', '--config', daemon.config];
  const { code, stdout, stderr } = await runCli(command, { env: daemon.env() });
  assert.is(code, 0, stderr);
  const { deleted, pairings } = JSON.parse(stdout) as { deleted: number; pairings: { before: number; after: number } };
  assert.ok(deleted > 0);
  // The seven of the fixture, and the newcomer's.
  assert.equal(pairings, { before: 8, after: 8 });
  assert.equal(byHand(), kept);
  assert.equal(await may('spire_expired', 'spire-7f3c9a', [21000]), [false]);
  assert.equal(await may('spire', 'spire-7f3c9a', [21000, 1]), [true, false]);
  assert.equal(await may('newcomer', 'spire-7f3c9a', [21000]), [true]);
  assert.equal(await may('lnbits1', 'lnbits-acct-1', [1, 21000]), [true, true]);
  assert.equal(await may('lnbits2', 'lnbits-acct-2', [1]), [true]);
  assert.equal(await may('manual', 'alice@example.com', [1, 4]), [true, false]);
  assert.equal(await may('banned', 'alice@example.com', [1]), [false]);
  assert.equal(await may('stolen', 'spire-7f3c9a', [21000]), [false]);
});

test('new keys are made beside them, and a name that nsecbunkerd gave is taken', async () => {
  const admin = await daemon.admin();
  assert.match(await admin.result('create_new_key', ['fresh', 'a passphrase of its own']), 'npub1');
  const { error } = await admin.call('create_new_key', ['lnbits-acct-2', 'x']);
  assert.match(error ?? '', 'exists already');
  admin.close();
  assert.is(readdirSync(`${daemon.data}/keystore`).filter((file) => file.length === 69).length, 1);
});

test('lock_key holds, also for a key without encryption and over a restart', async () => {
  const admin = await daemon.admin();
  for (const name of ['alice@example.com', 'lnbits-acct-1']) {
    assert.is(await admin.result('lock_key', [name]), '["ok"]');
  }
  admin.close();
  assert.is(await daemon.stop(), 0);
  await daemon.start();
  const again = await daemon.admin();
  const keys = JSON.parse(await again.result('get_keys')) as { name: string; locked: boolean }[];
  again.close();
  assert.ok(keys.every(({ locked }) => locked));
  assert.equal(await unlock('alice@example.com', 'it is not looked at'), { success: true });
  assert.equal(await unlock('lnbits-acct-1', truth.passphrase), { success: true });
  assert.equal(await may('manual', 'alice@example.com', [1]), [true]);
  assert.equal(await may('lnbits1', 'lnbits-acct-1', [1]), [true]);
});

test('the way back: nsecbunkerd would read and write the file as before', async () => {
  const admin = await daemon.admin();
  const rule = { method: 'sign_event', kind: 1, use_count: 2 };
  await admin.result('create_new_policy', [JSON.stringify({ name: 'ours', rules: [rule], expires_at: '2099-01-01' })]);
  await admin.result('issue_token', [
    JSON.stringify({ key: 'fresh', client_name: 'ours', policy_name: 'ours', expires_in_hours: 1 }),
  ]);
  const [user] = JSON.parse(await admin.result('get_key_users', ['lnbits-acct-2'])) as { id: number }[];
  await admin.result('revoke_user', [String(user!.id)]);
  await admin.result('delete_key', ['fresh']);
  admin.close();
  assert.is(await daemon.stop(), 0);

  const db = new Database(daemon.database);
  try {
    assert.equal(misfits(db), []);
    for (const model of models) {
      if (model !== 'Request' && model !== 'User') assert.ok(findMany(db, model).length > 0, model);
    }
    const [was] = new Database(FIXTURE_DATABASE, { readonly: true })
      .prepare('SELECT count(*) AS n, max(finished_at) AS at FROM _prisma_migrations')
      .all();
    assert.equal(db.prepare('SELECT count(*) AS n, max(finished_at) AS at FROM _prisma_migrations').get(), was);
    const at = Date.now();
    const made = create(db, 'KeyUser', { keyName: 'k', userPubkey: 'u', createdAt: at, updatedAt: at });
    for (const [model, row] of [
      ['Key', { keyName: 'theirs', createdAt: at, updatedAt: at, pubkey: 'p' }],
      ['Policy', { name: 'theirs', createdAt: at, updatedAt: at }],
      ['PolicyRule', { method: 'connect', currentUsageCount: 0, policyId: 1 }],
      ['SigningCondition', { method: 'connect', allowed: 1, keyUserId: made.id }],
      ['Log', { timestamp: at, type: 'x', keyUserId: made.id }],
    ] as const) {
      assert.type(create(db, model, row).id, 'number', model);
    }
  } finally {
    db.close();
  }
});

test('nsecbunker.json is byte for byte what it was', () => {
  assert.is(digest(), before);
});

test("a key that turns out to be an admin's when it is unlocked stays locked, and gets no row", async () => {
  const other = new AdoptedDaemon();
  try {
    // Nobody knows its public key before it is opened.
    const { pubkey } = truth.keys['lnbits-acct-2']!;
    await other.start({ ADMIN_NPUBS: [truth.admin.admin_pubkey, pubkey].join() });
    const admin = await other.admin();
    const { success, error } = JSON.parse(await admin.result('unlock_key', ['lnbits-acct-2', truth.passphrase]));
    admin.close();
    assert.is(success, false);
    assert.match(error, "this key is an admin's or the daemon's own");
    assert.equal(other.rows(`SELECT 1 FROM "Key" WHERE keyName = 'lnbits-acct-2'`), []);
  } finally {
    await other.remove();
  }
});

test.run();
