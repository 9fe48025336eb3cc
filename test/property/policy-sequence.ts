/** One sequence of actions on a key of its own, carried out by the policy engine and by the naive evaluator. */
import { randomBytes } from 'node:crypto';
import * as assert from 'uvu/assert';
import { answerLogout, answerRequest } from '../../src/policy/answer.ts';
import { passOnce } from '../../src/policy/commands/approvals.ts';
import type { DecideRequest, Decision } from '../../src/policy/protocol.ts';
import { answerConnect } from '../../src/policy/redeem.ts';
import { fresh, hex } from '../policy/rig.ts';
import { CLIENTS, NOT_IN_ALL, RESERVED, type Step, type Wanted, type WantedRule } from './policy-actions.ts';
import { type Change, changeRecords } from './policy-changes.ts';
import type { House } from './policy-house.ts';
import { Naive, type NaiveRequest } from './policy-naive.ts';

const ADMIN = hex('an admin');
let sequences = 0;

export class Sequence {
  readonly keyName = `key ${++sequences}`;
  readonly house: House;
  readonly naive: Naive;
  /** Answers by what they were. */
  readonly seen: { [answer: string]: number } = {};
  readonly #asked: NaiveRequest[] = [];
  readonly #passes: { id: string; client: string; method: string; kind: number | null }[] = [];
  readonly #firstRow: number;

  constructor(house: House) {
    house.startAnew();
    this.house = house;
    const { clock, askForStrangers } = house;
    const rules = { kindsNotInAll: NOT_IN_ALL, reserved: [RESERVED], askForStrangers };
    this.naive = new Naive({ now: clock.now(), mono: clock.mono() }, rules);
    this.#firstRow = house.engine.desk.journal.head.seq;
    house.run('INSERT INTO "Key" (keyName, pubkey) VALUES (?, ?)', this.keyName, hex(this.keyName));
  }

  async apply(step: Step): Promise<void> {
    const { house, naive } = this;
    switch (step.do) {
      case 'batch':
        return this.#batch(step.requests);
      case 'pair':
        this.#invite(step);
        return this.#batch([{ ...CONNECT, client: step.client, token: naive.tokens.length - 1 }]);
      case 'token':
        return this.#invite(step);
      case 'advance':
        house.clock.advance(step.ms);
        return this.#look();
      case 'setClock':
        house.setClock(step.ms);
        return this.#look();
      case 'sleep':
        house.sleep();
        await this.#look();
        return naive.sleep();
      case 'restart':
        await house.restart();
        return naive.restart(house.window);
      case 'pass':
        return this.#pass(step);
      default:
        return changeRecords(this, step satisfies Change);
    }
  }

  /** The counters and the log are what the naive evaluator counted. */
  settle(): void {
    const { house, naive } = this;
    for (const { rules } of naive.policies) {
      for (const { id, used, max } of rules) {
        assert.is(house.get('SELECT COALESCE(currentUsageCount, 0) FROM "PolicyRule" WHERE id = ?', id), used);
        if (max !== null) assert.ok(used <= max);
      }
    }
    const usage = house.other
      .prepare('SELECT ruleId, "count" FROM "TokenRuleUsage" WHERE tokenId = ? ORDER BY 1')
      .raw();
    for (const { id, used } of naive.tokens) {
      assert.equal(
        usage.all(id),
        [...used].sort(([a], [b]) => a - b),
      );
    }
    const rows = `SELECT count(*) FROM "Log" WHERE id > ? AND type IN ('request', 'connect', 'logout') AND params LIKE ?`;
    assert.is(house.get(rows, this.#firstRow, `{"keyName":"${this.keyName}",%`), naive.rows.length);
  }

  /** In one turn of the event loop: one batch. */
  async #batch(wanted: Wanted[]): Promise<void> {
    const requests = wanted.map((want) => this.#request(want));
    this.naive.look(this.house.window);
    const expected = requests.map((one) => this.naive.answer(one));
    const decisions = await Promise.all(requests.map((one) => this.#ask(one)));
    const answers = decisions.map((one) => (one.ok ? one.grant : one.ask === undefined ? one.refusal : 'ask'));
    assert.equal(answers, expected, `answered ${answers.join(', ')}; by the page ${expected.join(', ')}`);
    for (const [i, answer] of expected.entries()) {
      const name = `${requests[i]!.type} ${answer.replace(/:.*/, '')}`;
      this.seen[name] = (this.seen[name] ?? 0) + 1;
    }
  }

  /** The engine looks at the clocks when somebody asks; nobody else is asked for here. */
  async #look(): Promise<void> {
    const { house, naive } = this;
    naive.now = house.clock.now();
    naive.mono = house.clock.mono();
    naive.look(house.window);
    const expires = house.clock.mono() + 1000;
    await house.engine.commits.submit({ work: () => null, unavailable: null, expires });
  }

  #pass(wanted: { client: string; method: string; kind: number | null }): void {
    const { naive, house, keyName } = this;
    const { client, method } = wanted;
    const bound = naive.users.has(client);
    const pass = bound
      ? { client, method, kind: method === 'sign_event' ? wanted.kind : null }
      : { client, method: 'connect', kind: null };
    const id = fresh();
    passOnce(house.engine.desk, { passes: [id], keyName, admin: ADMIN, ...pass });
    naive.passes.set(id, { ...pass, admin: ADMIN, until: house.clock.mono() + 600_000 });
    this.#passes.push({ id, ...pass });
  }

  #request(want: Wanted): NaiveRequest {
    const { tokens } = this.naive;
    const earlier = this.#asked.length === 0 ? undefined : this.#asked[want.earlier % this.#asked.length];
    if (earlier !== undefined && want.like !== 'none') {
      const recheck = want.like === 'recheck' && earlier.type === 'decide';
      const same = want.like === 'envelope' || want.like === 'again';
      const envelope = same ? earlier.envelope : fresh();
      return this.#remember({ ...earlier, envelope, recheck, again: want.like === 'again' });
    }
    const { peer, final } = want;
    const token = typeof want.token === 'number' && tokens.length > 0 ? tokens[want.token % tokens.length] : undefined;
    const pass = want.pass === null ? undefined : this.#passes[want.pass % this.#passes.length];
    const { client, method, kind } = pass !== undefined && want.fits ? pass : want;
    const type = method === 'connect' ? method : want.type;
    return this.#remember({
      type,
      client,
      method,
      kind: method === 'sign_event' ? kind : null,
      peer,
      final,
      secret: token?.secret ?? (want.token === null ? '' : 'unknown'),
      pass: pass?.id ?? null,
      envelope: fresh(),
      body: fresh(),
      recheck: false,
      again: false,
    });
  }

  #remember(one: NaiveRequest): NaiveRequest {
    this.#asked.push(one);
    return one;
  }

  #ask(one: NaiveRequest): Promise<Decision> {
    const { client, envelope, body, secret, again, kind, peer, recheck } = one;
    const { desk, commits } = this.house.engine;
    const expires = this.house.clock.mono() + 1000;
    const more = { ...(one.pass === null ? {} : { pass: one.pass }), ...(one.final ? { final: true as const } : {}) };
    const asked = { client, requestId: '1', envelope, body, expires, again, ...more };
    const decide = { ...asked, method: one.method as DecideRequest['method'], kind, eventId: null, peer, recheck };
    const work = (): Decision => {
      if (one.type === 'connect') return answerConnect(desk, this.keyName, { ...asked, secret });
      return one.type === 'logout'
        ? answerLogout(desk, this.keyName, asked)
        : answerRequest(desk, this.keyName, decide);
    };
    return commits.submit<Decision>({ work, unavailable: { ok: false, refusal: 'audit log unavailable' }, expires });
  }

  /** A token of a new policy. */
  #invite(wanted: { rules: WantedRule[]; lasts: number | null; policyLasts: number | null }): void {
    const { house, naive, keyName } = this;
    const { clock } = house;
    const date = (ms: number | null) => (ms === null ? null : clock.now() + ms);
    const ends = date(wanted.policyLasts);
    const policyId = house.run('INSERT INTO "Policy" (name, expiresAt) VALUES (?, ?)', 'p', ends);
    const policy = { id: policyId, expiresAt: ends, deleted: false, rules: [] as Naive['policies'][number]['rules'] };
    for (const { method, kind, max, perToken, lasts } of wanted.rules) {
      const expiresAt = date(lasts);
      const columns = 'method, kind, maxUsageCount, maxUsagePerToken, expiresAt, policyId';
      const insert = `INSERT INTO "PolicyRule" (${columns}) VALUES (?, ?, ?, ?, ?, ?)`;
      const id = house.run(insert, method, kind, max, perToken, expiresAt, policyId);
      policy.rules.push({ id, method, kind, max, perToken, expiresAt, used: 0 });
    }
    naive.policies.push(policy);
    const secret = randomBytes(8).toString('hex');
    const expiresAt = date(wanted.lasts);
    const insert = `INSERT INTO "Token" (keyName, token, clientName, createdBy, expiresAt, policyId) VALUES (?, ?, 'c', 'a', ?, ?)`;
    const id = house.run(insert, keyName, secret, expiresAt, policyId);
    const redeemed = { redeemedBy: null, redeemedAt: 0, used: new Map<number, number>() };
    naive.tokens.push({ id, secret, policy, expiresAt, deleted: false, ...redeemed });
  }
}

const CONNECT: Wanted = {
  type: 'connect',
  client: CLIENTS[0]!,
  method: 'connect',
  kind: 1,
  peer: null,
  token: null,
  pass: null,
  fits: false,
  final: true,
  like: 'none',
  earlier: 0,
};
