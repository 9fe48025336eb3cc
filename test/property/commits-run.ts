/** One run of the policy engine under a schedule: what is asked of it, what fails under it, and what it answered. */
import type Database from 'better-sqlite3';
import * as assert from 'uvu/assert';
import { answerRequest } from '../../src/policy/answer.ts';
import { revokeUser } from '../../src/policy/commands/users.ts';
import type { PolicyEngine } from '../../src/policy/engine.ts';
import type { DecideRequest, Decision } from '../../src/policy/protocol.ts';
import { Policy } from '../../src/store/entities.ts';
import type { LogRow } from '../../src/store/writes.ts';
import { fresh, said } from '../policy/rig.ts';
import type { Schedule } from './schedule.ts';

export const FAULTY = ['begin', 'log', 'chargeRule', 'chargeToken', 'commit'] as const;
export type Faulty = (typeof FAULTY)[number];

/** A question about health waits so long. */
const HEALTH_MS = 2000;

const USED_UP = 'SELECT currentUsageCount = maxUsageCount FROM "PolicyRule" WHERE kind = 1';
/** Rows of the counted kind 1 that its counter does not have, or the other way round. */
const UNCOUNTED = `SELECT currentUsageCount - (SELECT count(*) FROM "Log" WHERE type = 'request'
  AND params ->> 'kind' = 1 AND params ->> 'retry' = 0) FROM "PolicyRule" WHERE kind = '1'`;
const USED_UP_EACH = `SELECT u."count" = r.maxUsagePerToken FROM "TokenRuleUsage" u
  JOIN "PolicyRule" r ON r.id = u.ruleId JOIN "Token" t ON t.id = u.tokenId
  JOIN "KeyUser" k ON k.id = t.keyUserId WHERE k.userPubkey = ?`;

interface Asked {
  request: DecideRequest;
  /** `bug`: it throws when it has written. */
  bug: boolean;
  answer: string | null;
  /** It was answered after its deadline. */
  late: boolean;
}

export class Run {
  readonly asked: Asked[] = [];
  /** Whose revocation has been answered. */
  readonly revoked = new Set<string>();
  readonly open = new Set<Promise<unknown>>();
  /** Something was done that `audit log unavailable` may come from. */
  disturbed = false;
  closed = false;
  readonly faults: { at: Faulty; code: string; left: number }[] = [];
  readonly stalls: { at: Faulty; ms: number }[] = [];
  /** Transactions that begin when another program has just written, and perhaps revoked a client. */
  readonly races: (string | null)[] = [];
  readonly #engine: PolicyEngine;
  readonly #other: Database.Database;
  readonly #schedule: Schedule;
  readonly #rows: Database.Statement;
  readonly #uncounted: Database.Statement;
  /** Rows and revocations of the open transaction. */
  #written: { envelope: string; client: string }[] = [];
  #revoking: number[] = [];
  readonly #revokedFor = new Set<string>();

  constructor(engine: PolicyEngine, other: Database.Database, schedule: Schedule) {
    this.#engine = engine;
    this.#other = other;
    this.#schedule = schedule;
    this.#rows = other.prepare(`SELECT count(*) FROM "Log" WHERE params LIKE '%"envelope":"' || ? || '"%'`).pluck();
    this.#uncounted = other.prepare(UNCOUNTED).pluck();
    this.#watchWrites();
  }

  ask(want: { client: string; kind: number | null; patience: number; bug: boolean; body?: string }): void {
    const { desk, commits } = this.#engine;
    const { client, kind, bug } = want;
    const request: DecideRequest = {
      client,
      requestId: '1',
      envelope: fresh(),
      body: want.body ?? fresh(),
      expires: this.#schedule.clock.mono() + want.patience,
      method: kind === null ? 'ping' : 'sign_event',
      kind,
      eventId: null,
      peer: null,
      recheck: false,
      final: true,
    };
    const one: Asked = { request, bug, answer: null, late: false };
    const late = this.revoked.has(client);
    this.asked.push(one);
    const work = (): Decision => {
      const decision = answerRequest(desk, 'key', request);
      if (bug) throw new TypeError('a bug');
      return decision;
    };
    const unavailable: Decision = { ok: false, refusal: 'audit log unavailable' };
    this.#expect(
      commits.submit<Decision>({ work, unavailable, expires: request.expires }).then(
        (decision) => {
          one.answer = said(decision);
          one.late = this.#schedule.clock.mono() >= request.expires;
          // At the moment when the answer leaves: what another connection sees is committed.
          const there = this.#rows.get(request.envelope);
          assert.is(there, decision.ok && kind !== null ? 1 : 0, `rows of what was answered ${one.answer}`);
          assert.not.ok(decision.ok && late, 'allowed although its revocation had been answered');
          assert.is.not(one.answer, 'replayed', 'nothing is asked twice here');
          if (one.answer === 'usage limit reached') assert.ok(this.#isUsedUp(request), 'refused before its limit');
        },
        (error) => {
          one.answer = 'failed';
          if (!(error instanceof TypeError)) throw error;
          assert.ok(bug, 'one request is refused for the fault of another');
        },
      ),
    );
  }

  /** Counts only grow: what has been refused for its limit finds it reached ever after. */
  #isUsedUp({ kind, client }: DecideRequest): boolean {
    return (
      this.#other
        .prepare(kind === 1 ? USED_UP : USED_UP_EACH)
        .pluck()
        .get(...(kind === 1 ? [] : [client])) === 1
    );
  }

  revoke(client: string): void {
    const { desk, store } = this.#engine;
    const id = this.#other.prepare('SELECT id FROM "KeyUser" WHERE userPubkey = ?').pluck().get(client) as number;
    const done = this.#engine
      .change(() => revokeUser(store, desk, id))
      .then(({ ok }) => {
        if (ok) this.revoked.add(client);
      });
    this.#expect(done.catch(this.#closing));
  }

  /** An admin's change that spans turns of the event loop, and may be taken back at its end. */
  change(points: number, fails: boolean): void {
    const name = fresh();
    const count = this.#other.prepare('SELECT count(*) FROM "Policy" WHERE name = ?').pluck();
    const { orm } = this.#engine.store;
    const work = () =>
      orm.em.fork().transactional(async (em) => {
        em.create(Policy, { name, createdAt: 1, updatedAt: 1 });
        await em.flush();
        for (let i = 0; i < points; i++) await new Promise<void>((resolve) => void setImmediate(resolve));
        if (fails) throw new TypeError('a bug');
        return { ok: true as const, value: null };
      });
    const done = this.#engine.change(work).then(
      ({ ok }) => assert.is(count.get(name), ok ? 1 : 0),
      (error) => {
        this.#closing(error);
        assert.is(count.get(name), 0);
      },
    );
    this.#expect(done);
  }

  /** Another program writes, if it gets the lock. */
  foreignWrite(revokes: string | null = null): void {
    try {
      this.#other.exec(`UPDATE "Policy" SET description = '${fresh()}'`);
      if (revokes === null) return;
      this.#other.prepare('UPDATE "KeyUser" SET revokedAt = 1 WHERE userPubkey = ?').run(revokes);
      this.#revokedFor.add(revokes);
      this.revoked.add(revokes);
    } catch (error) {
      assert.is((error as { code?: string }).code, 'SQLITE_BUSY');
    }
  }

  health(): void {
    const { clock } = this.#schedule;
    const giveUp = clock.mono() + HEALTH_MS;
    const seen = this.#engine.health().then(({ writable }) => {
      assert.ok(writable || this.disturbed || clock.mono() >= giveUp, 'unhealthy without a reason');
    });
    this.#expect(seen);
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.#expect(this.#engine.close());
  }

  get pending(): number {
    return this.open.size;
  }

  /** What failed while it settled. @throws it */
  throwFirst(): void {
    if (this.#problem !== undefined) throw this.#problem;
  }
  #problem: unknown;

  #expect(work: Promise<unknown>): void {
    this.open.add(work);
    const done = () => void this.open.delete(work);
    work.then(done, (error) => {
      this.#problem ??= error;
      done();
    });
  }

  /** An admin's change may meet a database that is closed, or the bug it was given. */
  readonly #closing = (error: unknown): void => {
    if (!this.closed) assert.match(String(error), /a bug/);
  };

  #watchWrites(): void {
    const { writes } = this.#engine.desk;
    for (const name of FAULTY) {
      const call = writes[name].bind(writes) as (...args: unknown[]) => unknown;
      const watched = (...args: unknown[]) => {
        if (name === 'commit') this.#beforeCommit();
        this.#disturb(name);
        const result = call(...args);
        if (name === 'begin') this.#forget();
        if (name === 'log') this.#note(args[0] as LogRow);
        if (name === 'commit') this.#afterCommit();
        return result;
      };
      Object.assign(writes, { [name]: watched });
    }
    const revoke = writes.revoke.bind(writes);
    writes.revoke = (row) => {
      this.#revoking.push(row.keyUserId);
      return revoke(row);
    };
  }

  #disturb(at: Faulty): void {
    const race = at === 'begin' ? this.races.shift() : undefined;
    if (race !== undefined) this.foreignWrite(race);
    const stall = this.stalls.findIndex((one) => one.at === at);
    if (stall !== -1) this.#schedule.pass(this.stalls.splice(stall, 1)[0]!.ms);
    const fault = this.faults.find((one) => one.at === at && one.left > 0);
    if (fault === undefined) return;
    fault.left--;
    throw Object.assign(new Error(fault.code), { code: fault.code });
  }

  #forget(): void {
    this.#written = [];
    this.#revoking = [];
  }

  #note({ params }: LogRow): void {
    this.#written.push(JSON.parse(params) as { envelope: string; client: string });
  }

  /** R20, and R19: nothing late, nothing of whom an earlier transaction revoked. */
  #beforeCommit(): void {
    for (const { envelope, client } of this.#written) {
      const one = this.asked.find(({ request }) => request.envelope === envelope);
      if (one === undefined) continue;
      assert.ok(this.#schedule.clock.mono() < one.request.expires, 'carried out too late');
      assert.not.ok(this.#revokedFor.has(client), 'carried out after the revocation');
    }
  }

  /** And R4, if the process ended here: each counted row has its count. */
  #afterCommit(): void {
    assert.is(this.#uncounted.get(), 0, 'recorded and not counted');
    for (const id of this.#revoking) {
      const client = this.#other.prepare('SELECT userPubkey FROM "KeyUser" WHERE id = ?').pluck().get(id);
      this.#revokedFor.add(client as string);
    }
    this.#forget();
  }
}
