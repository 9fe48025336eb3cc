// deadline: 120 s
/** A backup of a daemon that serves clients meanwhile, restored elsewhere and over the daemon itself. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { runCli } from '../support/cli.ts';
import { TestDaemon } from '../support/daemon.ts';
import { rows, usesCounted } from '../support/database.ts';
import { adminOf, type Paired, pair } from '../support/provision.ts';
import { RpcClient } from '../support/rpc.ts';
import { until } from '../support/until.ts';

const env = { REDOUBT_KEYSTORE_LOG_N: '14', REDOUBT_LIMITS_CLIENT_RATE: '1000' };
const folder = mkdtempSync(join(tmpdir(), 'redoubt-backup-'));
const archive = join(folder, 'archive');
const passphrase = join(folder, 'passphrase');
const daemon = new TestDaemon({ env });
const elsewhere = new TestDaemon({ env, data: join(folder, 'elsewhere') });
const clients: Paired[] = [];
/** A client of a key that is purged after the backup. */
let ofPurged: Paired;
let atBackup: number;

const event = () => [JSON.stringify({ kind: 1, content: 'x', tags: [], created_at: Math.floor(Date.now() / 1000) })];
const cli = (...args: string[]) => runCli(args, { env });
const counted = (on: TestDaemon) => clients.map(({ policy }) => usesCounted(on, policy));

test.before(async () => {
  writeFileSync(passphrase, 'of the backup', { mode: 0o600 });
  await daemon.start();
  const { quickstart } = daemon;
  const admin = await adminOf(daemon);
  for (let i = 0; i < 3; i++) {
    clients.push(await pair(admin, quickstart, [{ method: 'sign_event', kind: 1, use_count: 1_000_000 }]));
  }
  assert.is((await admin.call('create_new_key', ['purged', 'of the key'])).error, undefined);
  ofPurged = await pair(admin, quickstart, [{ method: 'sign_event', kind: 1 }], 'purged');
  admin.close();
});
test.after(async () => {
  for (const { client } of [...clients, ofPurged]) client.close();
  await Promise.all([daemon.remove(), elsewhere.remove()]);
  rmSync(folder, { recursive: true, force: true });
});

test('made while clients are served: every answer comes', async () => {
  let answered = 0;
  let done = false;
  const serve = clients.map(async ({ client }) => {
    while (!done) {
      await client.result('sign_event', event());
      answered++;
    }
  });
  await until('they are served', () => answered > 20);
  const { code, stdout, stderr } = await cli(
    ...['backup', archive, '--data', daemon.data, '--passphrase-file', passphrase, '--json'],
  );
  atBackup = answered;
  const before = answered;
  await until('they are served on', () => answered > before + 20);
  done = true;
  await Promise.all(serve);
  assert.is(code, 0, stderr);
  assert.ok(stderr.includes(`${join(daemon.data, 'nsecbunker.json')}: 2 keys, 4 pairings`), stderr);
  const report = JSON.parse(stdout);
  assert.equal([report.encrypted, report.keys, report.pairings, report.warnings], [true, 2, 4, []]);
  assert.not(readdirSync(daemon.data).some((name) => name.startsWith('.')));
});

test('restored elsewhere: every binding and counter as of one moment, the audit chain intact, clients sign at once', async () => {
  const restored = await cli('restore', archive, '--data', elsewhere.data, '--passphrase-file', passphrase, '--json');
  assert.is(restored.code, 0, restored.stderr);
  const verified = await cli('audit', 'verify', '--data', elsewhere.data, '--json');
  assert.equal([verified.code, JSON.parse(verified.stdout).ok], [0, true]);
  const uses = counted(elsewhere);
  const audited = clients.map(({ client }) => {
    const sql = `SELECT count(*) AS n FROM Log WHERE method = 'sign_event' AND json_extract(params, '$.client') = ?`;
    return rows<{ n: number }>(elsewhere, sql, client.pubkey)[0]!.n;
  });
  assert.equal(uses, audited, 'counters and audit rows are of one moment');
  const [there, here] = [uses, counted(daemon)].map((counts) => counts.reduce((sum, n) => sum + n, 0));
  assert.ok(there! > 0 && there! <= atBackup + clients.length && there! < here!, 'and that moment was under load');

  await elsewhere.start();
  for (const { client } of clients) {
    const moved = await new RpcClient(client.secretKey, client.remote).open(elsewhere.quickstart.relay);
    assert.is(JSON.parse(await moved.result('sign_event', event())).pubkey, client.remote);
    moved.close();
  }
  assert.is(await elsewhere.stop(), 0);
  const figures = {
    pairings: clients.length,
    pairingsRestored: clients.length,
    signedBefore: atBackup,
    usesRestored: there,
  };
  console.log(`R21 ${JSON.stringify({ what: 'backup under load', ...figures, usesLive: here })}`);
});

test('not over a running daemon; over a stopped one, what was revoked or purged since stays so', async () => {
  const restore = () => cli('restore', archive, '--data', daemon.data, '--passphrase-file', passphrase, '--force');
  const running = await restore();
  assert.is(running.code, 1);
  assert.match(running.stderr, /redoubt \(process \d+\) runs on .*: stop it first/);

  const [revoked, kept] = clients;
  const [user] = rows<{ id: number }>(daemon, 'SELECT id FROM KeyUser WHERE userPubkey = ?', revoked!.client.pubkey);
  assert.is((await cli('user', 'revoke', String(user!.id), '--data', daemon.data)).code, 0);
  let admin = await adminOf(daemon);
  for (const method of ['delete_key', 'purge_key']) await admin.result(method, ['purged']);
  admin.close();
  await daemon.stop();
  const { code, stdout, stderr } = await restore();
  assert.is(code, 0, stderr);
  assert.match(stdout, /ended since the backup, and ended now: 2 clients, 1 tokens, 1 keys/);
  assert.match(stdout, new RegExp(`removed for good since the backup.*: client purged ${ofPurged.client.pubkey}`));
  await daemon.start();
  admin = await adminOf(daemon);
  const unlocked = await admin.result('unlock_key', ['purged', 'of the key']);
  admin.close();
  assert.match(unlocked, /"success":false/);
  const asked = async ({ client }: Paired) => {
    const again = await new RpcClient(client.secretKey, client.remote).open(daemon.quickstart.relay);
    const { error } = await again.call('sign_event', event());
    again.close();
    return error;
  };
  assert.equal([await asked(revoked!), await asked(kept!)], ['revoked', undefined]);
});

test.run();
