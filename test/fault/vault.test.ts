// deadline: 120 s
/** The vault's thread ends: keys that a thread holds go on, and the others come back as they were, or are locked. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { verifyEvent } from 'nostr-tools';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { TestDaemon } from '../support/daemon.ts';
import { adminOf, type Paired, pair } from '../support/provision.ts';
import type { RpcClient } from '../support/rpc.ts';
import { until } from '../support/until.ts';
import type { Order } from './faulty-daemon.ts';

const data = mkdtempSync(join(tmpdir(), 'redoubt-vault-'));
const env: Record<string, string> = {
  REDOUBT_KEYSTORE_LOG_N: '14',
  REDOUBT_MAX_ACTIVE_KEYS: '1',
  NSECBUNKER_AUTOUNLOCK_PASSPHRASE_FILE: join(data, 'passphrase'),
};
const daemon = new TestDaemon({ data, env, entry: fileURLToPath(new URL('faulty-daemon.ts', import.meta.url)) });
let admin: RpcClient;
const open: RpcClient[] = [];

test.before(async () => {
  await start();
  const passphrase = readFileSync(join(data, 'passphrase'), 'utf8').trim();
  for (const name of ['idle', 'sealed']) await admin.result('create_new_key', [name, passphrase]);
  await admin.result('lock_key', ['sealed']);
});
test.after(async () => {
  admin?.close();
  for (const client of open) client.close();
  await daemon.remove();
  rmSync(data, { recursive: true, force: true });
});

async function start(): Promise<void> {
  await daemon.start();
  admin = await adminOf(daemon);
}

const template = () =>
  JSON.stringify({ kind: 1, content: crypto.randomUUID(), tags: [], created_at: Math.floor(Date.now() / 1000) });

async function paired(key: string): Promise<Paired> {
  const made = await pair(admin, daemon.quickstart, [{ method: 'sign_event', kind: 1 }], key);
  open.push(made.client);
  return made;
}

async function sign({ client }: Paired): Promise<void> {
  assert.ok(verifyEvent(JSON.parse(await client.result('sign_event', [template()]))));
}

async function lockedKeys(): Promise<string[]> {
  const keys = JSON.parse(await admin.result('get_keys')) as { name: string; locked: boolean }[];
  return keys.filter(({ locked }) => locked).map(({ name }) => name);
}

async function endVault(): Promise<void> {
  const printed = daemon.output.length;
  daemon.child.send({ terminate: 'vault' } satisfies Order);
  await until('it was noticed', () => daemon.output.slice(printed).includes('vault actor crashed'));
}

test('with autounlock, requests are held until all is as before; what was locked on purpose stays locked', async () => {
  const [active, idle] = [await paired('demo'), await paired('idle')];
  for (let i = 0; i < 2; i++) {
    await sign(active);
    const printed = daemon.output.length;
    await endVault();
    await Promise.all([sign(active), sign(idle)]);
    await until('a sweep has ended', () => daemon.output.slice(printed).includes('autounlock: enabled'));
    assert.match(daemon.output.slice(printed), 'unlocked 2/2 keys');
    assert.equal(await lockedKeys(), ['sealed']);
  }
  const { status } = await fetch(daemon.quickstart.health_url);
  assert.is(status, 200);
});

test('without it, keys that no thread holds are locked again, and keys that are active go on', async () => {
  await daemon.stop();
  delete env.NSECBUNKER_AUTOUNLOCK_PASSPHRASE_FILE;
  await start();
  const passphrase = readFileSync(join(data, 'passphrase'), 'utf8').trim();
  assert.equal(JSON.parse(await admin.result('unlock_key', ['idle', passphrase])), { success: true });
  const active = await paired('demo');
  await sign(active);
  await endVault();
  await until('it is locked again', async () => (await lockedKeys()).includes('idle'));
  await sign(active);
  assert.equal(await lockedKeys(), ['idle', 'sealed']);
  assert.equal(JSON.parse(await admin.result('unlock_key', ['idle', passphrase])), { success: true });
  await sign(await paired('idle'));
});

test.run();
