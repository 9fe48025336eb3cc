/** Which backend the daemon takes, and where. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { verifyEvent } from 'nostr-tools';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { lacks } from '../runner/lacks.ts';
import { TestDaemon } from '../support/daemon.ts';
import { adminOf, pair } from '../support/provision.ts';

const root = join(import.meta.dirname, '../..');
const folder = mkdtempSync(join(tmpdir(), 'redoubt-curve-'));
const withoutKoffi = join(folder, 'dist/redoubt.js');
const withLibrary = lacks('libsecp256k1') ? test.skip : test;

test.before(() => {
  cpSync(join(root, 'dist'), join(folder, 'dist'), { recursive: true });
  mkdirSync(join(folder, 'node_modules'));
  for (const name of ['better-sqlite3', 'pino', 'pino-pretty', 'piscina']) {
    symlinkSync(join(root, 'node_modules', name), join(folder, 'node_modules', name));
  }
});
test.after(() => rmSync(folder, { recursive: true, force: true }));

async function curveOf(daemon: TestDaemon): Promise<string> {
  const answer = await fetch(daemon.quickstart.health_url);
  return ((await answer.json()) as { curve: string }).curve;
}

/** A key is made, a client connects and signs: every thread that does arithmetic has done some. */
async function use(daemon: TestDaemon): Promise<void> {
  const admin = await adminOf(daemon);
  await admin.result('create_new_key', ['used', 'a passphrase of this test']);
  const { client } = await pair(admin, daemon.quickstart, [{ method: 'sign_event', kind: 'all' }], 'used');
  admin.close();
  const template = { kind: 1, content: '', tags: [], created_at: 1_700_000_000 };
  assert.ok(verifyEvent(JSON.parse(await client.result('sign_event', [JSON.stringify(template)]))));
  client.close();
}

test('without koffi the daemon works with WebAssembly, and says so in one line', async () => {
  const daemon = new TestDaemon({ entry: withoutKoffi, env: { REDOUBT_KEYSTORE_LOG_N: '14' } });
  try {
    await daemon.start();
    await use(daemon);
    assert.is(await curveOf(daemon), 'wasm');
    const lines = daemon.output.split('\n').filter((line) => line.includes('curve'));
    assert.is(lines.length, 1, lines.join('\n'));
    assert.match(lines[0]!, 'curve: wasm, since curve backend native does not load');
    assert.match(lines[0]!, 'koffi');
  } finally {
    await daemon.remove();
  }
});

test('a backend that is asked for and does not load is refused in one line, with exit code 78', async () => {
  const data = join(folder, 'data');
  const child = spawn(process.execPath, [withoutKoffi, 'start', '--quickstart', '--data', data, '--port', '0'], {
    env: { PATH: process.env.PATH, HOME: folder, REDOUBT_CURVE: 'native' },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.on('data', (chunk) => (said += chunk));
  const [code] = await once(child, 'close');
  assert.is(code, 78);
  assert.match(said, /^redoubt: curve backend native does not load \(.*koffi.*\): use wasm, noble, or auto\n$/);
});

withLibrary('the backend that REDOUBT_CURVE names is used in every thread', async () => {
  for (const [curve, native] of [
    ['wasm', false],
    ['native', true],
  ] as const) {
    const daemon = new TestDaemon({ env: { REDOUBT_CURVE: curve, REDOUBT_KEYSTORE_LOG_N: '14' } });
    try {
      await daemon.start();
      await use(daemon);
      assert.is(await curveOf(daemon), curve);
      const maps = readFileSync(`/proc/${daemon.pid}/maps`, 'utf8');
      assert.is(maps.includes('libsecp256k1'), native, `${curve}: whether the library is in the process`);
    } finally {
      await daemon.remove();
    }
  }
});

test.run();
