// deadline: 60 s
/**
 * A client is revoked while a thousand of its requests are in flight: after the answer to that not one is allowed, in the
 * order of the audit log and in what the client sees. The limits are raised, so that all of them wait at once.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { TestDaemon } from '../support/daemon.ts';
import { auditRows, rows } from '../support/database.ts';
import { printFigures } from '../support/figures.ts';
import { adminOf, type Paired, pair } from '../support/provision.ts';
import type { RpcClient } from '../support/rpc.ts';
import { until } from '../support/until.ts';

const IN_FLIGHT = 1000;

const daemon = new TestDaemon({
  env: {
    // A busy machine with the faster one may have signed them all before the admin is heard.
    REDOUBT_CURVE: 'wasm',
    REDOUBT_KEYSTORE_LOG_N: '14',
    REDOUBT_LIMITS_KEY_QUEUE: String(2 * IN_FLIGHT),
    REDOUBT_LIMITS_CLIENT_RATE: '100000',
    REDOUBT_LIMITS_CLIENT_BURST: '100000',
  },
});
let admin: RpcClient;
const figures: { [method: string]: { inFlight: number; allowed: number; refused: number; allowedAfter: number } } = {};

test.before(async () => {
  await daemon.start();
  admin = await adminOf(daemon);
});
test.after(async () => {
  printFigures('R19', figures);
  admin?.close();
  await daemon.remove();
});

const template = () =>
  JSON.stringify({ kind: 1, content: crypto.randomUUID(), tags: [], created_at: Math.floor(Date.now() / 1000) });
const userOf = ({ client }: Paired) =>
  rows<{ id: number }>(daemon, 'SELECT id FROM KeyUser WHERE userPubkey = ?', client.pubkey)[0]!.id;

for (const [method, refusal, target] of [
  ['revoke_token', 'token revoked', ({ token }: Paired) => token.id],
  ['revoke_user', 'revoked', userOf],
] as const) {
  test(`after the answer to ${method} nothing is allowed, with ${IN_FLIGHT} requests in flight`, async () => {
    const paired = await pair(admin, daemon.quickstart, [{ method: 'sign_event', kind: 1 }]);
    const { client } = paired;
    await client.result('sign_event', [template()]);
    const sent = Array.from({ length: IN_FLIGHT }, () => client.request('sign_event', [template()]));
    const revoke = admin.request(method, [target(paired)]);
    const before = client.received.length;
    const revoked = admin.next(revoke.id);
    for (const [i, { event }] of sent.entries()) {
      client.sendEvent(event);
      if (i === IN_FLIGHT / 2) admin.sendEvent(revoke.event);
    }
    assert.is((await revoked).result, '["ok"]');
    // What was allowed is recorded, and recorded before it is answered.
    const allowed = auditRows(daemon, client.pubkey, 'sign_event');

    await until('all are answered', () => client.received.length === before + IN_FLIGHT);
    const answers = client.received.slice(before);
    const signed = answers.filter(({ error }) => error === undefined).length;
    for (const { error } of answers) if (error !== undefined) assert.is(error, refusal);
    assert.ok(signed > 0 && signed < IN_FLIGHT, `it came in between: ${signed} of ${IN_FLIGHT} were signed`);
    assert.is(auditRows(daemon, client.pubkey, 'sign_event').length, allowed.length, 'none was allowed afterwards');
    assert.is(allowed.length, signed + 1);
    const done = rows<{ id: number }>(
      daemon,
      `SELECT max(id) AS id FROM Log WHERE type = 'admin' AND method = ?`,
      method,
    );
    const allowedAfter = allowed.filter(({ id }) => id > done[0]!.id).length;
    figures[method] = { inFlight: IN_FLIGHT, allowed: signed, refused: IN_FLIGHT - signed, allowedAfter };
    assert.is(allowedAfter, 0);
    client.close();
  });
}

test.run();
