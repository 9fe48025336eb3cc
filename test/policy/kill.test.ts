/** kill -9 at random moments under load. `REDOUBT_KILLS` raises their number. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { verifyChain } from '../../src/policy/verify.ts';
import { hex, Rig, said } from './rig.ts';

const KILLS = Number(process.env.REDOUBT_KILLS ?? 4);
const CLIENTS = 4;
const LIMIT = 150 * KILLS;

/** Runs the load and kills it; the envelopes that it saw allowed, and the refusals. */
async function killed(folder: string): Promise<{ allowed: string[]; refused: Set<string> }> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'kill-child.ts'), folder, `${CLIENTS}`, '4'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  const ended = once(child.stdout, 'end');
  await new Promise<void>((resolve, reject) => {
    child.on('exit', () => reject(new Error('the child ended by itself')));
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk;
      if (text.includes('ready')) resolve();
    });
  });
  await new Promise((resolve) => setTimeout(resolve, 20 + Math.random() * 250));
  child.kill('SIGKILL');
  await ended;
  const lines = text.split('\n').slice(1, -1);
  const isId = (line: string) => /^[0-9a-f]{64}$/.test(line);
  return { allowed: lines.filter(isId), refused: new Set(lines.filter((line) => !isId(line))) };
}

test(`${KILLS} kills: what was allowed is recorded, the counter is exact, no use too many`, async () => {
  const rig = await Rig.open();
  await rig.makeKey();
  const policyId = await rig.policy({ method: 'sign_event', maxUsageCount: LIMIT });
  for (let i = 0; i < CLIENTS; i++) {
    const { secret } = await rig.token(policyId);
    await rig.connect(secret, { client: hex(`client ${i}`) });
  }
  await rig.stop();

  const seen = new Set<string>();
  const check = () => {
    const recorded = new Set(
      rig
        .audit()
        .filter(({ type }) => type === 'request')
        .map(({ params }) => String(params.envelope)),
    );
    for (const envelope of seen) assert.ok(recorded.has(envelope), 'seen and not recorded');
    const [rule] = rig.sql<{ n: number }>('SELECT currentUsageCount AS n FROM "PolicyRule"');
    assert.is(rule?.n, recorded.size);
    assert.ok(recorded.size <= LIMIT);
    assert.equal(rig.sql('PRAGMA integrity_check'), [{ integrity_check: 'ok' }]);
    const report = verifyChain(rig.path);
    assert.ok(report.ok, report.wrong?.line);
    return recorded.size;
  };
  for (let i = 0; i < KILLS; i++) {
    const { allowed, refused } = await killed(rig.folder);
    for (const envelope of allowed) seen.add(envelope);
    check();
    refused.delete('usage limit reached');
    assert.equal([...refused], []);
  }
  assert.ok(seen.size > 0);

  // The rest is used up to the last one, and not beyond it.
  await rig.start({ keysInKeystore: 1 });
  const envelopes = [...seen];
  if (envelopes[0] !== undefined)
    assert.is(said(await rig.decide({ client: hex('client 0'), envelope: envelopes[0] })), 'replayed');
  for (;;) {
    const answers = await Promise.all(
      Array.from({ length: 64 }, (_, i) => rig.decide({ client: hex(`client ${i % CLIENTS}`) })),
    );
    if (answers.every((answer) => said(answer) === 'usage limit reached')) break;
  }
  await rig.stop();
  assert.is(check(), LIMIT);
  console.log(
    `R4 ${JSON.stringify({ what: 'policy actor alone', kills: KILLS, seen: seen.size, limit: LIMIT, used: LIMIT })}`,
  );
  rmSync(rig.folder, { recursive: true });
});

test.run();
