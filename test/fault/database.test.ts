// deadline: 120 s
/**
 * No audit row, no signature: while another program holds the database's lock, while the disk is full, and while the file
 * is gone, every request that uses a key is refused in so many words, health is red, and service resumes by itself
 * (docs/POLICY.md).
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, renameSync, rmdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateSecretKey, getPublicKey, verifyEvent } from 'nostr-tools';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { runCli } from '../support/cli.ts';
import { TestDaemon } from '../support/daemon.ts';
import { auditRows, lockDatabase, usesCounted } from '../support/database.ts';
import { printFigures } from '../support/figures.ts';
import { adminOf, pair } from '../support/provision.ts';
import { RpcClient, type RpcResponse } from '../support/rpc.ts';
import { until } from '../support/until.ts';

const LOCKED_MS = 3_500;
const HEALTHY_WITHIN_MS = 5_000;
const DISK_MIB = 8;
const RULES = [{ method: 'sign_event', kind: 1, use_count: 10_000 }, { method: 'nip44_encrypt' }];

/** What was asked of a database that could not be had, and what was signed all the same. */
const figures: { [fault: string]: { refused: number; signed: number } } = {};
test.after(() => printFigures('R7', figures));

const template = () =>
  JSON.stringify({ kind: 1, content: crypto.randomUUID(), tags: [], created_at: Math.floor(Date.now() / 1000) });
const peer = getPublicKey(generateSecretKey());

interface Health {
  code: number;
  writable: boolean;
  reasons: string[];
}

async function health(daemon: TestDaemon): Promise<Health> {
  const response = await fetch(daemon.quickstart.health_url);
  const { database, audit, reasons } = (await response.json()) as {
    database: { writable: boolean };
    audit: { writable: boolean };
    reasons: string[];
  };
  assert.is(database.writable, audit.writable);
  return { code: response.status, writable: database.writable, reasons };
}

/** Everything that needs a row is refused, what needs none is not. */
function assertRefused(response: RpcResponse): void {
  const { result, error } = response;
  assert.equal({ result, error }, { result: '', error: 'audit log unavailable' });
}

test('while another process holds the write lock nothing is signed; service resumes by itself', async () => {
  const daemon = await new TestDaemon().start();
  const admin = await adminOf(daemon);
  const { client, policy } = await pair(admin, daemon.quickstart, RULES);
  try {
    assert.ok(verifyEvent(JSON.parse(await client.result('sign_event', [template()]))));
    const sent: Promise<RpcResponse>[] = [];
    const unlock = lockDatabase(daemon);
    try {
      const end = Date.now() + LOCKED_MS;
      while (Date.now() < end) {
        sent.push(client.send('sign_event', [template()]).response);
        sent.push(client.send('nip44_encrypt', [peer, 'text']).response);
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      assert.is(await client.result('ping'), 'pong');
      const refused = client.received.filter(({ error }) => error !== undefined);
      assert.ok(refused.length > 10, 'those that waited for two seconds were told');
      refused.forEach(assertRefused);
      const early = client.received.filter(({ result }) => result.includes('"sig"')).length - 1;
      figures.locked = { refused: refused.length, signed: early };
      assert.is(early, 0);
      const { code, writable, reasons } = await health(daemon);
      assert.equal({ code, writable }, { code: 503, writable: false });
      assert.match(reasons.join(), 'another program holds the lock');
    } finally {
      unlock();
    }
    await until('healthy', async () => (await health(daemon)).code === 200, HEALTHY_WITHIN_MS);

    const answers = await Promise.all(sent);
    const signed = answers.filter(({ result }) => result.includes('"sig"')).length;
    for (const response of answers) if (response.error !== undefined) assertRefused(response);
    assert.ok(verifyEvent(JSON.parse(await client.result('sign_event', [template()]))));
    assert.is(auditRows(daemon, client.pubkey, 'sign_event').length, signed + 2);
    assert.is(usesCounted(daemon, policy), signed + 2);
  } finally {
    admin.close();
    client.close();
    await daemon.remove();
  }
});

test('while the file is gone nothing is signed; service resumes when it is back', async () => {
  const daemon = await new TestDaemon({ env: { REDOUBT_KEYSTORE_LOG_N: '14' } }).start();
  const admin = await adminOf(daemon);
  const { client, policy } = await pair(admin, daemon.quickstart, RULES);
  const path = join(daemon.data, 'nsecbunker.db');
  try {
    assert.ok(verifyEvent(JSON.parse(await client.result('sign_event', [template()]))));
    renameSync(path, `${path}.gone`);
    for (let i = 0; i < 10; i++) {
      assertRefused(await client.call('sign_event', [template()]));
      assertRefused(await client.call('nip44_encrypt', [peer, 'text']));
    }
    figures.gone = { refused: 20, signed: 0 };
    const sick = await health(daemon);
    assert.equal({ code: sick.code, writable: sick.writable }, { code: 503, writable: false });
    assert.match(sick.reasons.join(), 'moved or deleted');
    renameSync(`${path}.gone`, path);
    await until('healthy', async () => (await health(daemon)).code === 200, HEALTHY_WITHIN_MS);
    assert.ok(verifyEvent(JSON.parse(await client.result('sign_event', [template()]))));
    assert.is(auditRows(daemon, client.pubkey, 'sign_event').length, 2);
    assert.is(usesCounted(daemon, policy), 2);

    // Gone for good: a start does not begin a new one in silence, since there are keys.
    await daemon.stop();
    renameSync(path, `${path}.gone`);
    const refused = await daemon.start().then(() => '', String);
    assert.match(refused, 'ended with 1');
    renameSync(`${path}.gone`, path);
    await daemon.start();
    const back = await new RpcClient(client.secretKey, client.remote).open(daemon.quickstart.relay);
    assert.ok(verifyEvent(JSON.parse(await back.result('sign_event', [template()]))));
    back.close();
  } finally {
    admin.close();
    client.close();
    await daemon.remove();
  }
});

/** A disk that is small enough to be filled. */
function mountDisk(): string | null {
  const folder = mkdtempSync(join(tmpdir(), 'redoubt-disk-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_MIB}m`, 'tmpfs', folder], { stdio: 'pipe' });
    return folder;
  } catch (error) {
    console.error(`no file system can be mounted here, list the test in test/skips.json: ${(error as Error).message}`);
    rmdirSync(folder);
    return null;
  }
}

const disk = mountDisk();
test.after(() => {
  if (disk === null) return;
  execFileSync('umount', [disk]);
  rmdirSync(disk);
});

(disk === null ? test.skip : test)(
  'while the disk is full nothing is signed; service resumes when there is room',
  async () => {
    const data = disk!;
    const daemon = new TestDaemon({
      data,
      env: { REDOUBT_LIMITS_CLIENT_RATE: '100000', REDOUBT_LIMITS_CLIENT_BURST: '100000' },
    });
    try {
      await daemon.start();
      const admin = await adminOf(daemon);
      const { client, policy } = await pair(admin, daemon.quickstart, RULES);
      assert.ok(verifyEvent(JSON.parse(await client.result('sign_event', [template()]))));

      const filler = join(data, 'filler');
      fill(filler, data);
      // The file of the write-ahead log may have room for a few rows more.
      let signed = 1;
      let response = await client.call('sign_event', [template()]);
      for (; response.error === undefined; response = await client.call('sign_event', [template()])) {
        assert.ok(verifyEvent(JSON.parse(response.result)));
        signed++;
        fill(filler, data);
      }
      assertRefused(response);
      for (let i = 0; i < 10; i++) {
        assertRefused(await client.call('sign_event', [template()]));
        assertRefused(await client.call('nip44_encrypt', [peer, 'text']));
      }
      figures.full = { refused: 21, signed: 0 };
      assert.is(await client.result('ping'), 'pong');
      const sick = await health(daemon);
      assert.equal({ code: sick.code, writable: sick.writable }, { code: 503, writable: false });
      assert.match(sick.reasons.join(), /full/);
      assert.is(auditRows(daemon, client.pubkey, 'sign_event').length, signed);
      assert.is(usesCounted(daemon, policy), signed);

      rmSync(filler);
      await until('healthy', async () => (await health(daemon)).code === 200, HEALTHY_WITHIN_MS);
      assert.ok(verifyEvent(JSON.parse(await client.result('sign_event', [template()]))));
      assert.is(auditRows(daemon, client.pubkey, 'sign_event').length, signed + 1);
      admin.close();
      client.close();
      assert.is(await daemon.stop(), 0);
      const verified = await runCli(['audit', 'verify', '--data', data, '--json']);
      assert.is(JSON.parse(verified.stdout).ok, true);
    } finally {
      await daemon.remove();
    }
  },
);

/** Writes until there is not one block left. */
function fill(filler: string, disk: string): void {
  for (;;) {
    const { bavail, bsize } = statfsSync(disk);
    if (bavail === 0) return;
    writeFileSync(filler, new Uint8Array(bavail * bsize), { flag: 'a' });
  }
}

test.run();
