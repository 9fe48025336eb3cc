/**
 * R4, R6, R8, R19, R20: the journal's group commit under whatever order a schedule puts things in. `REDOUBT_SCHEDULES`
 * raises their number, `REDOUBT_SEED` repeats one.
 */
import { copyFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { verifyChain } from '../../src/policy/verify.ts';
import { hex, Rig } from '../policy/rig.ts';
import { memoryFolder } from '../support/memory-folder.ts';
import { FAULTY, Run } from './commits-run.ts';
import { openEngine } from './open-engine.ts';
import { Schedule } from './schedule.ts';

const SCHEDULES = Number(process.env.REDOUBT_SCHEDULES ?? 150);
const SEED = process.env.REDOUBT_SEED === undefined ? {} : { seed: Number(process.env.REDOUBT_SEED) };
const CLIENTS = ['a', 'b', 'c'].map(hex);
/** Of kind 1 over all clients; of kind 2 for each. */
const LIMIT = 5;
const LIMIT_EACH = 2;
const MOST_TURNS = 20_000;
/** Timers that may fire until it can be written again. */
const RECOVERY_TURNS = 50;

const client = fc.constantFrom(...CLIENTS);
const what = <T extends string>(name: T) => fc.constant(name);
const ask = fc.record({
  do: what('ask'),
  client,
  kind: fc.constantFrom(1, 1, 1, 2, 3, null),
  patience: fc.constantFrom(0, 1, 30, 600, 30_000, 30_000, 30_000),
  bug: fc.nat({ max: 15 }).map((n) => n === 0),
  /** Is the retry of an earlier one. */
  retry: fc.oneof({ weight: 5, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: fc.nat({ max: 9 }) }),
});
const code = fc.constantFrom('SQLITE_BUSY', 'SQLITE_BUSY', 'SQLITE_FULL', 'SQLITE_IOERR_FSYNC');
const at = fc.constantFrom(...FAULTY);
const pass = fc.record({ do: what('pass'), ms: fc.constantFrom(1, 10, 30, 1100, 2500) });
/** Nothing fails, and nobody else writes. */
const calm = fc.oneof(
  { weight: 14, arbitrary: ask },
  { weight: 1, arbitrary: fc.record({ do: what('revoke'), client }) },
  { weight: 2, arbitrary: fc.record({ do: what('change'), points: fc.nat({ max: 4 }), fails: fc.boolean() }) },
  { weight: 2, arbitrary: pass },
  { weight: 1, arbitrary: fc.record({ do: what('health') }) },
);
const disturbed = fc.oneof(
  { weight: 20, arbitrary: calm },
  { weight: 1, arbitrary: fc.record({ do: what('foreign') }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: what('race'), times: fc.integer({ min: 1, max: 6 }), client: fc.option(client) }),
  },
  { weight: 3, arbitrary: fc.record({ do: what('fault'), at, code, times: fc.constantFrom(1, 1, 2, 3, 200) }) },
  { weight: 1, arbitrary: fc.record({ do: what('stall'), at, ms: fc.constantFrom(1, 40, 3000) }) },
  { weight: 1, arbitrary: fc.record({ do: what('mend') }) },
);
const actions = fc.array(disturbed, { maxLength: 40, size: 'max' });
const withClose = fc
  .tuple(actions, actions)
  .map(([before, after]) => [...before, { do: 'close' as const }, ...after.filter((one) => one.do === 'ask')]);
type Action = (typeof actions extends fc.Arbitrary<(infer A)[]> ? A : never) | { do: 'close' };
const plans: fc.Arbitrary<Action[]> = fc.oneof(
  { weight: 2, arbitrary: actions },
  { weight: 1, arbitrary: fc.array(calm, { maxLength: 40, size: 'max' }) },
  { weight: 1, arbitrary: withClose },
);
const picks = fc.array(fc.nat({ max: 7 }), { maxLength: 200, size: 'max' });

function act(run: Run, schedule: Schedule, action: Action): void {
  if (!['ask', 'revoke', 'change', 'health', 'pass', 'mend'].includes(action.do)) run.disturbed = true;
  switch (action.do) {
    case 'ask': {
      const earlier = action.retry === null ? undefined : run.asked[action.retry];
      const same = earlier === undefined ? {} : { body: earlier.request.body, client: earlier.request.client };
      return run.ask({ ...action, ...same });
    }
    case 'revoke':
      return run.revoke(action.client);
    case 'change':
      return run.change(action.points, action.fails);
    case 'foreign':
      return run.foreignWrite();
    case 'race':
      run.races.push(...Array.from({ length: action.times }, () => action.client));
      return;
    case 'fault':
      run.faults.push({ at: action.at, code: action.code, left: action.times });
      return;
    case 'stall':
      run.stalls.push({ at: action.at, ms: action.ms });
      return;
    case 'pass':
      return schedule.pass(action.ms);
    case 'mend':
      run.faults.length = 0;
      return;
    case 'health':
      return run.health();
    case 'close':
      return run.close();
    default:
      action satisfies never;
  }
}

/** Actions and whatever is due, in the order that the schedule picks, until everything has settled. */
async function carryOut(run: Run, schedule: Schedule, plan: readonly Action[]): Promise<void> {
  let next = 0;
  for (let turns = 0; next < plan.length || run.pending > 0; turns++) {
    assert.ok(turns < MOST_TURNS, `${run.pending} are never answered`);
    const own = next < plan.length ? 1 : 0;
    const choices = own + schedule.due;
    if (choices === 0) {
      if (await schedule.runNext()) continue;
      await schedule.wait(() => run.pending === 0);
      assert.is(run.pending, 0, `${run.pending} are never answered: nothing is waited for`);
    } else {
      const pick = schedule.pick(choices);
      if (pick < own) {
        act(run, schedule, plan[next++]!);
        await schedule.settle();
      } else await schedule.runDue(pick - own);
    }
    run.throwFirst();
  }
}

async function template(folder: string): Promise<string> {
  const rig = new Rig(undefined, folder);
  await rig.start();
  await rig.makeKey();
  const policy = await rig.policy(
    { method: 'sign_event', kind: '1', maxUsageCount: LIMIT },
    { method: 'sign_event', kind: '2', maxUsagePerToken: LIMIT_EACH },
    { method: 'sign_event', kind: '3' },
  );
  for (const client of CLIENTS) {
    const { secret } = await rig.token(policy);
    assert.ok((await rig.connect(secret, { client })).ok);
  }
  await rig.stop();
  return rig.path;
}

interface Row {
  envelope: string;
  retry: boolean;
  kind: number;
}

/** What the file says in the end is what was answered. */
function settle(run: Run, db: Database.Database, path: string): number {
  const rows = (db.prepare(`SELECT params FROM "Log" WHERE type = 'request'`).pluck().all() as string[]).map(
    (params) => JSON.parse(params) as Row,
  );
  const signed = run.asked.filter(({ answer, request }) => answer === 'ok' && request.kind !== null);
  const envelopes = (list: { envelope: string }[]) => list.map(({ envelope }) => envelope).sort();
  assert.equal(envelopes(rows), envelopes(signed.map(({ request }) => request)), 'allowed and recorded, or neither');
  const counted = (kind: number) => rows.filter((row) => !row.retry && row.kind === kind).length;
  assert.is(db.prepare('SELECT currentUsageCount FROM "PolicyRule" WHERE kind = 1').pluck().get(), counted(1));
  assert.ok(counted(1) <= LIMIT);
  const each = db.prepare('SELECT "count" FROM "TokenRuleUsage"').pluck().all() as number[];
  assert.is(
    each.reduce((sum, n) => sum + n, 0),
    counted(2),
  );
  assert.ok(each.every((n) => n <= LIMIT_EACH));
  for (const { answer, late } of run.asked) {
    assert.not.equal(answer, null);
    if (!run.disturbed) assert.ok(answer !== 'audit log unavailable' || late, 'refused without a reason');
  }
  assert.is(db.pragma('integrity_check', { simple: true }), 'ok');
  const report = verifyChain(path);
  assert.ok(report.ok, report.wrong?.line);
  return rows.length;
}

test(`${SCHEDULES} schedules of the group commit: allowed means recorded once, and everybody is answered`, async () => {
  const folder = memoryFolder('commits');
  const source = await template(folder);
  const path = join(folder, 'run.db');
  const figures = { schedules: 0, requests: 0, rows: 0, closes: 0, disturbed: 0 };
  const answers: { [answer: string]: number } = {};
  const property = fc.asyncProperty(plans, picks, async (plan, picks) => {
    for (const ending of ['', '-wal', '-shm']) rmSync(`${path}${ending}`, { force: true });
    copyFileSync(source, path);
    const schedule = new Schedule(picks);
    const other = new Database(path, { timeout: 0 });
    other.pragma('synchronous = OFF');
    const restore = schedule.install();
    try {
      const engine = await openEngine(path, schedule.clock);
      const run = new Run(engine, other, schedule);
      try {
        await carryOut(run, schedule, plan);
        if (!run.closed) {
          run.faults.length = run.stalls.length = run.races.length = 0;
          // Service resumes by itself: nobody asks.
          schedule.pass(1);
          for (let i = 0; i < RECOVERY_TURNS && engine.commits.failure !== null; i++) await schedule.runNext();
          assert.is(engine.commits.failure, null, 'it can be written again');
          const free = CLIENTS.find((one) => !run.revoked.has(one));
          if (free !== undefined) run.ask({ client: free, kind: 3, patience: 5000, bug: false });
          await carryOut(run, schedule, []);
          if (free !== undefined) assert.is(run.asked.at(-1)!.answer, 'ok');
          assert.is(engine.status().auditRows, other.prepare('SELECT count(*) FROM "Log"').pluck().get());
          run.close();
          await carryOut(run, schedule, []);
        } else figures.closes++;
      } finally {
        await engine.store.orm.close(true);
      }
      figures.schedules++;
      figures.requests += run.asked.length;
      if (run.disturbed) figures.disturbed++;
      for (const { answer } of run.asked) answers[answer!] = (answers[answer!] ?? 0) + 1;
      figures.rows += settle(run, other, path);
    } finally {
      restore();
      other.close();
    }
  });
  try {
    await fc.assert(property, { numRuns: SCHEDULES, ...SEED, includeErrorInReport: true });
  } finally {
    rmSync(folder, { recursive: true });
  }
  console.log(`R4 R6 R8 R19 R20 ${JSON.stringify({ ...figures, answers })}`);
});

test.run();
