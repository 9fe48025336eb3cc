/** Random sequences of actions against a naive evaluator. `REDOUBT_SEQUENCES` raises their number, `REDOUBT_SEED` repeats one. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { answerLogout, answerRequest } from '../../src/policy/answer.ts';
import { PolicyEngine } from '../../src/policy/engine.ts';
import type { DecideRequest, Decision } from '../../src/policy/protocol.ts';
import { answerConnect } from '../../src/policy/redeem.ts';
import { verifyChain } from '../../src/policy/verify.ts';
import { hex, movableClock } from '../policy/rig.ts';
import { Naive, type NaiveRequest } from './policy-naive.ts';

const SEQUENCES = Number(process.env.REDOUBT_SEQUENCES ?? 600);
const SEED = process.env.REDOUBT_SEED === undefined ? {} : { seed: Number(process.env.REDOUBT_SEED) };

const NOT_IN_ALL = [22242, 62];
const CLIENTS = [hex('a'), hex('b'), hex('c')];
const RESERVED = hex('admin');
const METHODS = ['sign_event', 'nip44_encrypt', 'nip44_decrypt', 'nip04_decrypt', 'ping', 'get_relays'];

/** Values with how often each comes. */
const often = <T>(...of: [value: T, weight: number][]) =>
  fc.oneof(...of.map(([value, weight]) => ({ weight, arbitrary: fc.constant(value) })));

const client = often([CLIENTS[0]!, 4], [CLIENTS[1]!, 2], [CLIENTS[2]!, 1]);
const method = fc.oneof(
  { weight: 3, arbitrary: fc.constant('sign_event') },
  { weight: 2, arbitrary: fc.constantFrom(...METHODS) },
);
const kind = often([1, 8], [4, 3], [62, 1], [22242, 1], [24133, 1], [24134, 1]);
const storedKind = often<string | null>(
  [null, 2],
  ['all', 2],
  ['1', 5],
  ['4', 2],
  ['62', 1],
  ['24133', 1],
  ['24134', 1],
);
const storedMethod = fc.constantFrom('sign_event', 'sign_event', 'encrypt', 'decrypt', 'nip44_decrypt');
const limit = often<number | null>([null, 4], [0, 1], [1, 3], [2, 3], [3, 1]);
/** ms from now */
const lasts = often<number | null>([null, 8], [1, 1], [3, 1], [6, 1], [12, 1]);
const index = fc.nat({ max: 20 });

const request = fc.record({
  type: often<'decide' | 'connect' | 'logout'>(['decide', 24], ['connect', 5], ['logout', 1]),
  client,
  method,
  kind,
  peer: often<string | null>([CLIENTS[0]!, 1], [CLIENTS[1]!, 1], [RESERVED, 1], [hex('somebody'), 6], [null, 1]),
  /** A token by its place; none; or one that nobody knows. */
  token: fc.oneof(index, index, fc.constantFrom(null, 'unknown')),
  /** How it is like an earlier request of this sequence. */
  like: often(['none', 12], ['envelope', 1], ['body', 2], ['again', 1], ['recheck', 2]),
  earlier: index,
});
const rule = fc.record({ method: storedMethod, kind: storedKind, max: limit, perToken: limit, lasts });
const action = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('batch' as const),
      requests: fc.array(request, { minLength: 1, maxLength: 4 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('pair' as const),
      client,
      rules: fc.array(rule, { maxLength: 3 }),
      lasts,
      policyLasts: lasts,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('token' as const),
      rules: fc.array(rule, { maxLength: 3 }),
      lasts,
      policyLasts: lasts,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('condition' as const),
      client,
      method: often<string | null>(['*', 1], [null, 1], ['sign_event', 9], ['decrypt', 4], ['ping', 1], ['connect', 1]),
      kind: storedKind,
      allowed: fc.boolean(),
      lasts,
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('advance' as const), ms: fc.integer({ min: 1, max: 4 }) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constantFrom(
        'revokeToken' as const,
        'deletePolicy' as const,
        'deleteRule' as const,
        'revokeUser' as const,
        'reset' as const,
      ),
      at: index,
    }),
  },
);

const folder = mkdtempSync(join(tmpdir(), 'redoubt-property-'));
const path = join(folder, 'nsecbunker.db');
const clock = movableClock();
const opened = await PolicyEngine.open(
  {
    databasePath: path,
    maxClockSkew: 600,
    auditRetentionDays: 90,
    kindsNotInAll: NOT_IN_ALL,
    askForStrangers: null,
    reserved: [RESERVED],
    keysInKeystore: 0,
    allowEmptyDatabase: false,
  },
  {
    clock,
    random: (n) => new Uint8Array(randomBytes(n)),
    log: () => {},
    bound: () => {},
    forgetClients: () => {},
    clientRelaysChanged: () => {},
    head: () => {},
  },
);
if (!opened.ok) throw new Error(opened.refusal);
const { engine } = opened;
/** Another program, through which the records are changed. */
const other = new Database(path, { timeout: 0 });
// What is tested here is which answer is given, not how durable it is.
for (const db of [engine.store.db, other]) db.pragma('synchronous = OFF');
const sql = new Map<string, Database.Statement>();
const run = (text: string, ...values: unknown[]): number => {
  const statement = sql.get(text) ?? other.prepare(text);
  sql.set(text, statement);
  return Number(statement.run(...values).lastInsertRowid);
};
let sequences = 0;

class Sequence {
  readonly keyName = `key ${++sequences}`;
  readonly naive = new Naive(clock.now(), NOT_IN_ALL, [RESERVED]);
  readonly asked: NaiveRequest[] = [];

  async apply(step: typeof action extends fc.Arbitrary<infer A> ? A : never): Promise<void> {
    switch (step.do) {
      case 'batch':
        return this.batch(step.requests);
      case 'pair':
        this.issue(step.rules, step.lasts, step.policyLasts);
        return this.batch([{ ...CONNECT, client: step.client, token: this.naive.tokens.length - 1 }]);
      case 'token':
        return this.issue(step.rules, step.lasts, step.policyLasts);
      case 'condition':
        return this.override(step);
      case 'advance':
        clock.advance(step.ms);
        this.naive.now = clock.now();
        return;
      default:
        return this.change(step.do, step.at);
    }
  }

  /** In one turn of the event loop: one batch. */
  private async batch(wanted: (typeof request extends fc.Arbitrary<infer R> ? R : never)[]): Promise<void> {
    const requests = wanted.map((want) => this.request(want));
    const expected = requests.map((one) => this.naive.answer(one));
    const answers = await Promise.all(requests.map((one) => this.ask(one)));
    assert.equal(
      answers.map((answer) => (answer.ok ? answer.grant : answer.refusal)),
      expected,
    );
  }

  private request(want: typeof request extends fc.Arbitrary<infer R> ? R : never): NaiveRequest {
    const { tokens } = this.naive;
    const earlier = this.asked.length === 0 ? undefined : this.asked[want.earlier % this.asked.length];
    if (earlier !== undefined && want.like !== 'none') {
      const recheck = want.like === 'recheck' && earlier.type === 'decide';
      const same = want.like === 'envelope' || want.like === 'again';
      const envelope = same ? earlier.envelope : randomBytes(32).toString('hex');
      return this.remember({ ...earlier, envelope, recheck, again: want.like === 'again' });
    }
    const { type, client, method, peer } = want;
    const token = typeof want.token === 'number' && tokens.length > 0 ? tokens[want.token % tokens.length] : undefined;
    return this.remember({
      type,
      client,
      method,
      kind: method === 'sign_event' ? want.kind : null,
      peer,
      secret: token?.secret ?? (want.token === null ? '' : 'unknown'),
      envelope: randomBytes(32).toString('hex'),
      body: randomBytes(32).toString('hex'),
      recheck: false,
      again: false,
    });
  }

  private remember(one: NaiveRequest): NaiveRequest {
    this.asked.push(one);
    return one;
  }

  private ask(one: NaiveRequest): Promise<Decision> {
    const { client, envelope, body, secret, again, kind, peer, recheck } = one;
    const asked = { client, requestId: '1', envelope, body, expires: clock.mono() + 1000, again };
    const decide = { ...asked, method: one.method as DecideRequest['method'], kind, eventId: null, peer, recheck };
    const { desk } = engine;
    const work = (): Decision => {
      if (one.type === 'connect') return answerConnect(desk, this.keyName, { ...asked, secret });
      return one.type === 'logout'
        ? answerLogout(desk, this.keyName, asked)
        : answerRequest(desk, this.keyName, decide);
    };
    return engine.commits.submit<Decision>({
      work,
      unavailable: { ok: false, refusal: 'audit log unavailable' },
      expires: asked.expires,
    });
  }

  private issue(
    rules: (typeof rule extends fc.Arbitrary<infer R> ? R : never)[],
    lasts: number | null,
    policyLasts: number | null,
  ): void {
    const date = (ms: number | null) => (ms === null ? null : clock.now() + ms);
    const expiresAt = date(policyLasts);
    const policyId = run('INSERT INTO "Policy" (name, expiresAt) VALUES (?, ?)', 'p', expiresAt);
    const policy = { id: policyId, expiresAt, deleted: false, rules: [] as Naive['policies'][number]['rules'] };
    for (const one of rules) {
      const ends = date(one.lasts);
      const id = run(
        'INSERT INTO "PolicyRule" (method, kind, maxUsageCount, maxUsagePerToken, expiresAt, policyId) VALUES (?, ?, ?, ?, ?, ?)',
        one.method,
        one.kind,
        one.max,
        one.perToken,
        ends,
        policyId,
      );
      policy.rules.push({
        id,
        method: one.method,
        kind: one.kind,
        max: one.max,
        perToken: one.perToken,
        expiresAt: ends,
        used: 0,
      });
    }
    this.naive.policies.push(policy);
    const secret = randomBytes(8).toString('hex');
    const tokenEnds = date(lasts);
    const id = run(
      `INSERT INTO "Token" (keyName, token, clientName, createdBy, expiresAt, policyId) VALUES (?, ?, 'c', 'a', ?, ?)`,
      this.keyName,
      secret,
      tokenEnds,
      policyId,
    );
    this.naive.tokens.push({
      id,
      secret,
      policy,
      expiresAt: tokenEnds,
      deleted: false,
      redeemedBy: null,
      redeemedAt: 0,
      used: new Map(),
    });
  }

  private override(step: {
    client: string;
    method: string | null;
    kind: string | null;
    allowed: boolean;
    lasts: number | null;
  }): void {
    if (!this.naive.users.has(step.client)) return;
    const expiresAt = step.lasts === null ? null : clock.now() + step.lasts;
    const id = run(
      `INSERT INTO "SigningCondition" (method, kind, allowed, expiresAt, keyUserId)
        SELECT ?, ?, ?, ?, id FROM "KeyUser" WHERE keyName = ? AND userPubkey = ?`,
      step.method,
      step.kind,
      step.allowed ? 1 : 0,
      expiresAt,
      this.keyName,
      step.client,
    );
    this.naive.conditions.push({
      id,
      client: step.client,
      method: step.method,
      kind: step.kind,
      allowed: step.allowed,
      expiresAt,
    });
  }

  private change(what: 'revokeToken' | 'deletePolicy' | 'deleteRule' | 'revokeUser' | 'reset', at: number): void {
    const { tokens, policies, users } = this.naive;
    const token = tokens[at % tokens.length];
    const policy = policies[at % policies.length];
    const name = CLIENTS[at % CLIENTS.length] as string;
    if (what === 'revokeUser') {
      const user = users.get(name);
      if (user === undefined) return;
      user.revoked = true;
      run('UPDATE "KeyUser" SET revokedAt = ? WHERE keyName = ? AND userPubkey = ?', clock.now(), this.keyName, name);
    } else if (token === undefined || policy === undefined) return;
    else if (what === 'revokeToken') {
      token.deleted = true;
      run('UPDATE "Token" SET deletedAt = ? WHERE id = ?', clock.now(), token.id);
    } else if (what === 'deletePolicy') {
      policy.deleted = true;
      run('UPDATE "Policy" SET deletedAt = ? WHERE id = ?', clock.now(), policy.id);
    } else if (what === 'deleteRule') {
      const gone = policy.rules.pop();
      if (gone !== undefined) run('DELETE FROM "PolicyRule" WHERE id = ?', gone.id);
    } else {
      for (const one of policy.rules) one.used = 0;
      run('UPDATE "PolicyRule" SET currentUsageCount = 0 WHERE policyId = ?', policy.id);
    }
  }

  /** The counters and the log are what the naive evaluator counted. */
  settle(): void {
    for (const policy of this.naive.policies) {
      for (const one of policy.rules) {
        const used = other
          .prepare('SELECT COALESCE(currentUsageCount, 0) AS n FROM "PolicyRule" WHERE id = ?')
          .pluck()
          .get(one.id);
        assert.is(used, one.used);
        if (one.max !== null) assert.ok(one.used <= one.max);
      }
    }
    for (const token of this.naive.tokens) {
      const used = other
        .prepare('SELECT ruleId, "count" FROM "TokenRuleUsage" WHERE tokenId = ? ORDER BY 1')
        .raw()
        .all(token.id);
      assert.equal(
        used,
        [...token.used].sort(([a], [b]) => a - b),
      );
    }
    const rows = other
      .prepare(`SELECT count(*) FROM "Log" WHERE id > ? AND type IN ('request', 'connect', 'logout') AND params LIKE ?`)
      .pluck()
      .get(this.#first, `{"keyName":"${this.keyName}",%`);
    assert.is(rows, this.naive.rows);
  }

  readonly #first = engine.desk.journal.head.seq;
}

const CONNECT = { type: 'connect', method: 'connect', kind: 1, peer: null, like: 'none', earlier: 0 } as const;

test(`${SEQUENCES} random sequences: every answer, count and row as the page says`, async () => {
  const first = fc.record({ rules: fc.array(rule, { minLength: 1, maxLength: 4 }), lasts, policyLasts: lasts });
  const steps = fc.array(action, { minLength: 6, maxLength: 30 });
  const property = fc.asyncProperty(first, first, steps, async (one, two, steps) => {
    const sequence = new Sequence();
    await sequence.apply({ do: 'pair', client: CLIENTS[0]!, ...one });
    await sequence.apply({ do: 'pair', client: CLIENTS[1]!, ...two });
    for (const step of steps) await sequence.apply(step);
    sequence.settle();
  });
  await fc.assert(property, { numRuns: SEQUENCES, ...SEED });
  other.close();
  await engine.close();
  const report = verifyChain(path);
  assert.ok(report.ok, report.wrong?.line);
  rmSync(folder, { recursive: true });
});

test.run();
