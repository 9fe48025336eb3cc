// deadline: 120 s
/**
 * kill -9 under load. A rule with use_count 100, eight clients that sign as fast as they can, three kills: no more than
 * 100 signatures ever leave, the counter ends at 100, and each signature that a client received is in the audit log.
 */

import { join } from 'node:path';
import Database from 'better-sqlite3';
import { generateSecretKey, verifyEvent } from 'nostr-tools';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { runCli } from '../support/cli.ts';
import type { SignedEvent } from '../support/clients.ts';
import { TestDaemon } from '../support/daemon.ts';
import { adminOf, createPolicy, issueToken } from '../support/provision.ts';
import { parseBunkerUrl, RpcClient } from '../support/rpc.ts';

const LIMIT = 100;
const CLIENTS = 8;
const KILLS = 3;

const daemon = new TestDaemon({
  env: { REDOUBT_LIMITS_STRANGERS_PER_KEY: '1000', REDOUBT_LIMITS_STRANGERS_TOTAL: '1000' },
});
test.before(async () => {
  await daemon.start();
});
test.after(() => daemon.remove());

interface Client {
  secretKey: Uint8Array;
  refused: boolean;
}

test('no counter lets one too many through, and no signature leaves unrecorded', async () => {
  const { relay } = daemon.quickstart;
  const admin = await adminOf(daemon);
  const policy = await createPolicy(admin, 'counted', [{ method: 'sign_event', kind: 1, use_count: LIMIT }]);
  const clients: Client[] = [];
  let pubkey = '';
  for (let i = 0; i < CLIENTS; i++) {
    const token = parseBunkerUrl((await issueToken(admin, 'demo', policy)).bunker_url);
    pubkey = token.pubkey;
    const secretKey = generateSecretKey();
    const client = await new RpcClient(secretKey, pubkey).open(relay);
    assert.is(await client.result('connect', [pubkey, token.secret]), 'ack');
    client.close();
    clients.push({ secretKey, refused: false });
  }
  admin.close();

  const signed = new Map<string, SignedEvent>();
  for (let kill = 0; kill <= KILLS; kill++) {
    const run = Promise.all(clients.map((client) => signUntilRefused(client, pubkey, relay, signed, kill < KILLS)));
    if (kill < KILLS) {
      // A different number of signatures into the run each time.
      while (signed.size < (kill + 1) * 20 + Math.floor(Math.random() * 10)) await sleep(1);
      await daemon.kill();
      await run;
      await daemon.start();
    } else await run;
  }

  assert.ok(
    clients.every((client) => client.refused),
    'every client was refused in the end',
  );
  assert.ok(signed.size <= LIMIT, `${signed.size} signatures`);
  for (const event of signed.values()) assert.ok(verifyEvent(event));

  await daemon.stop();
  const database = new Database(join(daemon.data, 'nsecbunker.db'), { readonly: true });
  const count = database.prepare('SELECT currentUsageCount AS n FROM PolicyRule WHERE policyId = ?').get(policy) as {
    n: number;
  };
  assert.is(count.n, LIMIT, 'the counter');
  const rows = database.prepare(`SELECT params FROM Log WHERE method = 'sign_event'`).all() as { params: string }[];
  const recorded = rows.map((row) => row.params).join('\n');
  for (const id of signed.keys()) assert.ok(recorded.includes(id), `${id} is in the audit log`);
  assert.is(rows.length, LIMIT, 'one audit row for each count');
  assert.is(database.pragma('integrity_check', { simple: true }), 'ok');
  database.close();
});

test('audit verify is content, and names the row that was edited by hand', async () => {
  const ok = await runCli(['audit', 'verify', '--data', daemon.data, '--json']);
  assert.is(ok.code, 0, ok.stderr);
  assert.is(JSON.parse(ok.stdout).ok, true);

  const database = new Database(join(daemon.data, 'nsecbunker.db'));
  const row = database.prepare(`SELECT id FROM Log WHERE method = 'sign_event' LIMIT 1 OFFSET 7`).get() as {
    id: number;
  };
  database.prepare(`UPDATE Log SET params = replace(params, '"kind":1', '"kind":7') WHERE id = ?`).run(row.id);
  database.close();

  const bad = await runCli(['audit', 'verify', '--data', daemon.data, '--json']);
  assert.is(bad.code, 1);
  assert.is(JSON.parse(bad.stdout).ok, false);
  assert.match(bad.stdout + bad.stderr, new RegExp(`\\b${row.id}\\b`));
});

/** Signs one event after the other, three at a time, until the limit answers or the daemon is killed. */
async function signUntilRefused(
  client: Client,
  pubkey: string,
  relay: string,
  signed: Map<string, SignedEvent>,
  killed: boolean,
) {
  if (client.refused && killed) return;
  // The daemon may be killed before the client has connected to it.
  const rpc = await new RpcClient(client.secretKey, pubkey).open(relay).catch(() => null);
  if (rpc === null) return;
  const gone = new Promise<null>((resolve) => rpc.socket.once('close', () => resolve(null)));
  const lane = async () => {
    for (;;) {
      const template = JSON.stringify({
        kind: 1,
        content: crypto.randomUUID(),
        tags: [],
        created_at: Math.floor(Date.now() / 1000),
      });
      const response = await Promise.race([rpc.send('sign_event', [template]).response, gone]);
      if (response === null) return;
      if (response.error !== undefined) {
        assert.is(response.error, 'usage limit reached');
        client.refused = true;
        return;
      }
      const event = JSON.parse(response.result) as SignedEvent;
      signed.set(event.id, event);
    }
  };
  await Promise.all([lane(), lane(), lane()]);
  rpc.close();
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

test.run();
