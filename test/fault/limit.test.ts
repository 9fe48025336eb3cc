// deadline: 60 s
/**
 * A limit of one, and 64 clients that ask for that one use at once: exactly one of them has it. `REDOUBT_LIMIT_ROUNDS`
 * says how often. The limits on strangers and on waiting requests are raised, so that all of them get as far as the rule.
 */
import { generateSecretKey, verifyEvent } from 'nostr-tools';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { TestDaemon } from '../support/daemon.ts';
import { auditRows, rows } from '../support/database.ts';
import { printFigures } from '../support/figures.ts';
import { adminOf, createPolicy, issueToken } from '../support/provision.ts';
import { parseBunkerUrl, RpcClient } from '../support/rpc.ts';

const ROUNDS = Number(process.env.REDOUBT_LIMIT_ROUNDS ?? 8);
const CLIENTS = 64;
/** Each round has a kind and a rule of its own. */
const FIRST_KIND = 2000;

const daemon = new TestDaemon({
  env: {
    REDOUBT_KEYSTORE_LOG_N: '14',
    REDOUBT_LIMITS_STRANGERS_PER_KEY: '100000',
    REDOUBT_LIMITS_STRANGERS_TOTAL: '100000',
    REDOUBT_LIMITS_KEY_QUEUE: '1024',
    REDOUBT_LIMITS_CLIENT_RATE: '100000',
    REDOUBT_LIMITS_CLIENT_BURST: '100000',
  },
});
test.before(async () => {
  await daemon.start();
});
test.after(() => daemon.remove());

test(`a limit of 1 under ${CLIENTS} clients at once lets exactly one through, ${ROUNDS} rounds`, async () => {
  const { relay } = daemon.quickstart;
  const admin = await adminOf(daemon);
  const policy = await createPolicy(admin, 'one', [{ method: 'sign_event', kind: 1 }]);
  const join = async () => {
    const { pubkey, secret } = parseBunkerUrl((await issueToken(admin, 'demo', policy)).bunker_url);
    const client = await new RpcClient(generateSecretKey(), pubkey).open(relay);
    await client.result('connect', [pubkey, secret]);
    return client;
  };
  const clients: RpcClient[] = [];
  for (let i = 0; i < CLIENTS; i++) clients.push(await join());

  const won = new Map<RpcClient, number>();
  for (let kind = FIRST_KIND; kind < FIRST_KIND + ROUNDS; kind++) {
    await admin.result('add_policy_rule', [policy, 'sign_event', kind, 1]);
    const template = JSON.stringify({ kind, content: '', tags: [], created_at: Math.floor(Date.now() / 1000) });
    const sent = clients.map((client) => client.request('sign_event', [template]));
    const answers = sent.map(({ id }, i) => clients[i]!.next(id));
    // Each round somebody else is first.
    for (let i = 0; i < CLIENTS; i++) {
      const next = (i + 7 * kind) % CLIENTS;
      clients[next]!.sendEvent(sent[next]!.event);
    }
    const signed = (await Promise.all(answers)).flatMap(({ result, error }, i) => {
      if (error === undefined) return [{ client: clients[i]!, result }];
      assert.is(error, 'usage limit reached');
      return [];
    });
    assert.is(signed.length, 1, `kind ${kind}`);
    const [{ client, result }] = signed as [(typeof signed)[number]];
    assert.ok(verifyEvent(JSON.parse(result)));
    won.set(client, (won.get(client) ?? 0) + 1);
    await admin.result('remove_policy_rule', [ruleOf(policy, kind).id]);
  }
  const recorded = clients.map((client) => auditRows(daemon, client.pubkey, 'sign_event').length);
  assert.equal(
    recorded,
    clients.map((client) => won.get(client) ?? 0),
    'a row for each of those that had it',
  );
  printFigures('R6', { rounds: ROUNDS, clients: CLIENTS, allowed: ROUNDS, winners: won.size });
  admin.close();
  for (const client of clients) client.close();
});

/** The rule of this kind; its one use is counted. */
function ruleOf(policy: number, kind: number): { id: number } {
  const sql = 'SELECT id, currentUsageCount AS n FROM PolicyRule WHERE policyId = ? AND kind = ?';
  const [rule] = rows<{ id: number; n: number }>(daemon, sql, policy, String(kind));
  assert.is(rule?.n, 1);
  return rule!;
}

test.run();
