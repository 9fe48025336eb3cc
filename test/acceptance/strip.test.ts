// deadline: 120 s
/** strip-photocopies beside a running daemon that serves clients meanwhile. */
import { generateSecretKey, getPublicKey } from 'nostr-tools';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { runCli } from '../support/cli.ts';
import { addPhotocopies } from '../support/copies.ts';
import { TestDaemon } from '../support/daemon.ts';
import { rows } from '../support/database.ts';
import { adminOf, pair } from '../support/provision.ts';
import { RpcClient } from '../support/rpc.ts';

/** The long form: 200,000 rows, whose latencies mean more (docs/PERFORMANCE.md). */
const COPIES = Number(process.env.REDOUBT_STRIP_COPIES ?? 3_000);
const RATE = 100;
const BASELINE_MS = Number(process.env.REDOUBT_STRIP_BASELINE_MS ?? 500);

const daemon = new TestDaemon({ env: { REDOUBT_KEYSTORE_LOG_N: '14', REDOUBT_LIMITS_CLIENT_RATE: '1000' } });
test.before(async () => void (await daemon.start()));
test.after(() => daemon.remove());

const event = (kind: number) => [
  JSON.stringify({ kind, content: 'x', tags: [], created_at: Math.floor(Date.now() / 1000) }),
];

/** Requests at a steady rate until it is told to stop; how long each took, ms. @throws when one was not answered well */
function load(client: RpcClient): { latencies: number[]; stop(): Promise<void> } {
  const latencies: number[] = [];
  const asked: Promise<void>[] = [];
  const timer = setInterval(() => {
    const began = performance.now();
    asked.push(
      client.result('sign_event', event(1)).then((signed) => {
        if (JSON.parse(signed).sig === undefined) throw new Error('not signed');
        latencies.push(performance.now() - began);
      }),
    );
  }, 1000 / RATE);
  return {
    latencies,
    stop: async () => {
      clearInterval(timer);
      await Promise.all(asked);
    },
  };
}

const p99 = (latencies: number[]) => [...latencies].sort((a, b) => a - b)[Math.floor(latencies.length * 0.99)]!;
const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

test('no request fails, the copies are gone at the next decision, and every pairing and override stays', async () => {
  const { quickstart } = daemon;
  const admin = await adminOf(daemon);
  const { client } = await pair(admin, quickstart, [{ method: 'sign_event', kind: 1 }]);
  const copied = generateSecretKey();
  addPhotocopies(daemon, COPIES, getPublicKey(copied));
  const old = await new RpcClient(copied, client.remote).open(quickstart.relay);
  assert.is((await old.call('sign_event', event(2))).error, undefined, 'a copy allows what its token no longer does');
  const pairings = rows(daemon, 'SELECT id FROM Token WHERE keyUserId IS NOT NULL').length;
  const overridden = rows<{ id: number }>(daemon, 'SELECT id FROM KeyUser WHERE userPubkey = ?', client.pubkey)[0]!.id;
  await admin.result('add_signing_condition', [overridden, 'sign_event', '77']);

  const before = load(client);
  await wait(BASELINE_MS);
  await before.stop();
  const during = load(client);
  const { code, stdout, stderr } = await runCli(['strip-photocopies', '--data', daemon.data, '--json']);
  await during.stop();
  assert.is(code, 0, stderr);
  const report = JSON.parse(stdout);
  const expected = { photocopies: COPIES * 0.9, connects: COPIES * 0.1, overrides: 1, denials: 0, loose: 0 };
  assert.equal([report.found, report.deleted], [expected, COPIES]);
  assert.equal(report.pairings, { before: pairings, after: pairings });

  assert.is((await old.call('sign_event', event(2))).error, 'token expired');
  assert.is((await client.call('sign_event', event(77))).error, undefined, 'set by hand');
  assert.ok(during.latencies.length > 0);
  const p99Ms = [p99(before.latencies), p99(during.latencies)].map((ms) => Number(ms.toFixed(1)));
  const served = { requestsMeanwhile: during.latencies.length, failed: 0, p99Ms };
  console.log(
    `R21 ${JSON.stringify({ what: 'strip under load', copies: COPIES, pairings: report.pairings, ...served })}`,
  );
  for (const one of [admin, client, old]) one.close();
});

test.run();
