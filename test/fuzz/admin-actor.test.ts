/**
 * Mutated admin requests and answers, signed by an admin and by nobody's key, through the whole admin actor: each is
 * refused or carried out, the actor works on, and no secret is in what it logs, publishes in plain or records.
 */
import fc from 'fast-check';
import { finalizeEvent, generateSecretKey, nip44 } from 'nostr-tools';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { makeEvent, makeStage, type Stage } from '../admin/stage.ts';
import { hasTrace, SCALE, SEED } from './layer.ts';
import { ADMIN_REQUESTS } from './layers/admin.ts';
import { mutatedJson, rawText } from './mutate.ts';

const CASES = Number(process.env.REDOUBT_FUZZ_ADMIN ?? 400) * SCALE;
const stranger = generateSecretKey();
const ANSWERS = [
  { id: '1', result: JSON.stringify(['always', 'label', { kind: 1 }]) },
  { id: '1', result: ['once'] },
];
const messages = fc.oneof(
  {
    weight: 8,
    arbitrary: mutatedJson(ADMIN_REQUESTS.map(([method, params], i) => ({ id: `id ${i}`, method, params }))),
  },
  { weight: 1, arbitrary: mutatedJson(ANSWERS) },
  { weight: 1, arbitrary: rawText },
);
const figures = { cases: 0, crashes: 0, secretsSaid: 0, answered: 0, dropped: 0 };

/** The names of keys and policies may be anything, and a request that is off by one may have a secret for a name. */
function assertSilent({ main, records }: Stage): void {
  for (const { message, fields } of main.logs) assert.not.ok(hasTrace(message + JSON.stringify(fields)), message);
  for (const reason of main.dropped) assert.not.ok(hasTrace(reason), reason);
  for (const row of records.refused) assert.not.ok(hasTrace(JSON.stringify(row)), JSON.stringify(row));
  figures.dropped += main.dropped.length;
  main.logs.length = 0;
  main.dropped.length = 0;
  records.refused.length = 0;
}

test(`${CASES} messages`, async () => {
  const stage = await makeStage();
  stage.records.addKey('key');
  // The stage opens what is answered with the keys that have written through it.
  makeEvent(stage, {}, { from: stranger });
  const conversations = new Map(
    [stage.admin, stranger].map((key) => [key, nip44.getConversationKey(key, stage.daemon)]),
  );
  try {
    await fc.assert(
      fc.asyncProperty(messages, fc.nat(19), async (text, who) => {
        const from = who === 0 ? stranger : stage.admin;
        const content = nip44.encrypt(text === '' ? ' ' : text, conversations.get(from)!);
        const created_at = Math.floor(stage.clock.now() / 1000);
        const event = finalizeEvent({ kind: 24_134, created_at, tags: [['p', stage.daemon]], content }, from);
        stage.deliver(JSON.stringify(event));
        figures.cases++;
        if (figures.cases % 20 !== 0) return;
        // Whatever the last ones were, this one is answered.
        await stage.settled();
        assertSilent(stage);
      }),
      { numRuns: CASES, seed: SEED, includeErrorInReport: true },
    );
    await stage.settled();
    assertSilent(stage);
    figures.answered = stage.main.published.length;
    assert.ok(figures.answered > CASES / 10);
  } finally {
    await stage.end();
  }
});

test.after(() => console.log(`R11 R2 ${JSON.stringify({ what: 'admin actor', ...figures })}`));

test.run();
