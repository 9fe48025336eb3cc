// deadline: 120 s
/**
 * No audit row, no signature: a COMMIT that fails, finds the disk full, or does not return (docs/POLICY.md). Nothing is
 * signed, whoever asks is told so within the deadline, and service resumes by itself. The disk's faults are given to the
 * policy actor by faulty-policy.ts; database.test.ts has those that need no help.
 */
import { fileURLToPath } from 'node:url';
import { verifyEvent } from 'nostr-tools';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { TestDaemon } from '../support/daemon.ts';
import { auditRows, usesCounted } from '../support/database.ts';
import { printFigures } from '../support/figures.ts';
import { adminOf, type Paired, pair } from '../support/provision.ts';
import { RpcClient, type RpcResponse } from '../support/rpc.ts';
import { until } from '../support/until.ts';
import type { Order } from './faulty-daemon.ts';
import type { Commit } from './faulty-policy.ts';

const DEADLINE_MS = 1_000;
const REQUESTS = 40;

const daemon = new TestDaemon({
  entry: fileURLToPath(new URL('faulty-daemon.ts', import.meta.url)),
  env: { REDOUBT_KEYSTORE_LOG_N: '14', REDOUBT_LIMITS_REQUEST_DEADLINE: `${DEADLINE_MS}` },
});
let admin: RpcClient;
const open: RpcClient[] = [];
const figures = { requests: 0, refused: 0, signedMeanwhile: 0 };

test.before(async () => {
  await daemon.start();
  admin = await adminOf(daemon);
});
test.after(async () => {
  admin?.close();
  for (const client of open) client.close();
  await daemon.remove();
});

const template = () =>
  JSON.stringify({ kind: 1, content: crypto.randomUUID(), tags: [], created_at: Math.floor(Date.now() / 1000) });
const order = (commit: Commit) => void daemon.child.send({ commit } satisfies Order);
const signed = ({ received }: RpcClient) => received.filter(({ result }) => result.includes('"sig"')).length;

async function paired(): Promise<Paired> {
  const made = await pair(admin, daemon.quickstart, [{ method: 'sign_event', kind: 1, use_count: 1000 }]);
  open.push(made.client);
  assert.ok(verifyEvent(JSON.parse(await made.client.result('sign_event', [template()]))));
  return made;
}

async function health(): Promise<{ code: number; reasons: string }> {
  const response = await fetch(daemon.quickstart.health_url);
  const { reasons } = (await response.json()) as { reasons?: string[] };
  return { code: response.status, reasons: reasons?.join() ?? '' };
}

/** Asks for signatures while the disk is as ordered: each is refused, and told so before the disk is sound again. */
async function refuse({ client }: Paired): Promise<void> {
  const before = signed(client);
  const asked = Array.from({ length: REQUESTS }, () => client.send('sign_event', [template()]).response);
  const late = Promise.withResolvers<RpcResponse[]>();
  const timer = setTimeout(() => late.reject(new Error('some were not answered')), 10 * DEADLINE_MS);
  const answers = await Promise.race([Promise.all(asked), late.promise]).finally(() => clearTimeout(timer));
  for (const { result, error } of answers) {
    assert.is(result, '');
    assert.ok(error === 'audit log unavailable' || error === 'request expired', error);
  }
  figures.requests += REQUESTS;
  figures.refused += answers.length;
  figures.signedMeanwhile += signed(client) - before;
}

/** @param most rows and uses that there may be beside those of the signatures: recorded, and refused as too late */
async function assertRecovered({ client, policy }: Paired, most = 0): Promise<void> {
  await until('healthy', async () => (await health()).code === 200);
  assert.ok(verifyEvent(JSON.parse(await client.result('sign_event', [template()]))));
  const rows = auditRows(daemon, client.pubkey, 'sign_event').length;
  assert.is(usesCounted(daemon, policy), rows, 'a row for each use');
  const left = rows - signed(client);
  assert.ok(left >= 0 && left <= most, `${rows} rows, ${signed(client)} signatures`);
}

for (const [fault, reason] of [
  ['fails', 'reading or writing the disk failed'],
  ['full', 'the disk is full'],
] as const) {
  test(`while a commit ${fault === 'full' ? 'finds the disk full' : fault} nothing is signed; service resumes by itself`, async () => {
    const made = await paired();
    order(fault);
    await refuse(made);
    const sick = await health();
    assert.is(sick.code, 503);
    assert.match(sick.reasons, reason);
    order('sound');
    await assertRecovered(made);
  });
}

test('while a commit does not return, whoever waits for it is refused by the deadline; service resumes by itself', async () => {
  const made = await paired();
  order('hang');
  await refuse(made);
  // The first ones are in the transaction that stands still, the others wait behind it.
  await refuse(made);
  const sick = await health();
  assert.is(sick.code, 503);
  order('sound');
  await assertRecovered(made, 2 * REQUESTS);
});

test('a daemon whose commit never returns ends when it is told to, and has signed nothing since', async () => {
  const made = await paired();
  order('hang');
  await refuse(made);
  await daemon.stop();
  await daemon.start();
  const { secretKey, remote } = made.client;
  const client = await new RpcClient(secretKey, remote).open(daemon.quickstart.relay);
  open.push(client);
  await assertRecovered({ ...made, client }, signed(made.client) + REQUESTS);
  printFigures('R8', figures);
  assert.is(figures.signedMeanwhile, 0);
});

test.run();
