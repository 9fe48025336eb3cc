// deadline: 120 s
/**
 * Two clients race for one token, 32 connects each at once: exactly one of them becomes its owner. The limits on
 * strangers are raised: with their defaults the gate would let five connects a second through and there would be no race.
 */
import { generateSecretKey } from 'nostr-tools';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { TestDaemon } from '../support/daemon.ts';
import { adminOf, createPolicy, issueToken } from '../support/provision.ts';
import { parseBunkerUrl, RpcClient } from '../support/rpc.ts';

const ROUNDS = Number(process.env.REDOUBT_RACE_ROUNDS ?? 16);
const FOLD = 32;

const daemon = new TestDaemon({
  env: {
    REDOUBT_LIMITS_STRANGERS_PER_KEY: '100000',
    REDOUBT_LIMITS_STRANGERS_TOTAL: '100000',
    REDOUBT_LIMITS_KEY_QUEUE: '512',
  },
});

test.before(async () => {
  await daemon.start();
});
test.after(() => daemon.remove());

test(`of two clients that race for one token exactly one wins, ${ROUNDS} rounds`, async () => {
  const { relay } = daemon.quickstart;
  const admin = await adminOf(daemon);
  const policy = await createPolicy(admin, 'race', [{ method: 'sign_event', kind: 1 }]);
  for (let round = 0; round < ROUNDS; round++) {
    const { pubkey, secret } = parseBunkerUrl((await issueToken(admin, 'demo', policy)).bunker_url);
    const racers = await Promise.all([1, 2].map(() => new RpcClient(generateSecretKey(), pubkey).open(relay)));
    const sent = racers.map((racer) => Array.from({ length: FOLD }, () => racer.request('connect', [pubkey, secret])));
    const answers = sent.map((requests, i) => requests.map(({ id }) => racers[i]!.next(id)));
    for (let i = 0; i < FOLD; i++) for (const [j, racer] of racers.entries()) racer.sendEvent(sent[j]![i]!.event);

    const won: boolean[] = [];
    for (const racer of racers) won.push(await hasWon(racer, pubkey, secret));
    assert.is(won.filter(Boolean).length, 1, `round ${round}: one owner`);

    const late = new Promise<null>((resolve) => setTimeout(resolve, 50, null));
    for (const [i, list] of answers.entries()) {
      for (const answer of list) {
        const response = await Promise.race([answer, late]);
        if (response === null) continue;
        assert.is(response.result === 'ack', won[i]!, `round ${round}: every answer to a racer agrees`);
        if (!won[i]) assert.is(response.error, 'token already redeemed');
      }
    }
    for (const racer of racers) racer.close();
  }
  admin.close();
  console.log(`R6 ${JSON.stringify({ what: 'one token, two clients', rounds: ROUNDS, owners: ROUNDS })}`);
});

/** The queue for strangers is bounded, and what exceeds it stays unanswered: asks until there is an answer. */
async function hasWon(racer: RpcClient, pubkey: string, secret: string): Promise<boolean> {
  for (;;) {
    const answer = await racer.call('connect', [pubkey, secret], { timeoutMs: 500 }).catch(() => null);
    if (answer !== null) return answer.result === 'ack';
  }
}

test.run();
