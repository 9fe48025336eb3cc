/**
 * The rules of docs/POLICY.md once more, written straight from that page: arrays, loops, no index, no cache, no
 * database. Slow and plain on purpose; what the policy actor says is held against it.
 */
export interface NaiveRule {
  id: number;
  method: string;
  kind: string | null;
  max: number | null;
  perToken: number | null;
  expiresAt: number | null;
  used: number;
}
export interface NaivePolicy {
  id: number;
  expiresAt: number | null;
  deleted: boolean;
  rules: NaiveRule[];
}
export interface NaiveToken {
  id: number;
  secret: string;
  policy: NaivePolicy;
  expiresAt: number | null;
  deleted: boolean;
  redeemedBy: string | null;
  redeemedAt: number;
  used: Map<number, number>;
}
export interface NaiveCondition {
  id: number;
  client: string;
  method: string | null;
  kind: string | null;
  allowed: boolean;
  expiresAt: number | null;
}
export interface NaiveRequest {
  type: 'decide' | 'connect' | 'logout';
  client: string;
  method: string;
  kind: number | null;
  peer: string | null;
  secret: string;
  envelope: string;
  body: string;
  recheck: boolean;
  again: boolean;
  pass: string | null;
  final: boolean;
}
export interface NaivePass {
  client: string;
  method: string;
  kind: number | null;
  admin: string;
  until: number;
}

const BOUND_METHODS = ['connect', 'get_public_key', 'ping', 'switch_relays', 'get_relays'];

/** What is refused, but for an admin who may be asked. */
const NOTHING_ANSWERS = 'nothing answers';

export class Naive {
  /** ms since the epoch */
  now: number;
  /** ms, of the clock that nobody sets */
  mono: number;
  keyDeleted = false;
  readonly users = new Map<string, { revoked: boolean }>();
  readonly policies: NaivePolicy[] = [];
  readonly tokens: NaiveToken[] = [];
  readonly conditions: NaiveCondition[] = [];
  readonly kindsNotInAll: number[];
  readonly reserved: string[];
  readonly askForStrangers: boolean;
  /** Rows of the audit log. */
  readonly rows: { envelope: string; body: string | null; at: number }[] = [];
  /** What this process remembers of them. */
  #known: { envelope: string; body: string | null }[] = [];
  readonly passes = new Map<string, NaivePass>();
  /** By the body that used it. */
  readonly usedPasses = new Map<string, NaivePass>();
  /** What this process has seen as expired: a record and its date. */
  readonly #seen = new Set<string>();
  #lastNow: number;

  constructor(
    at: { now: number; mono: number },
    rules: { kindsNotInAll: number[]; reserved: string[]; askForStrangers: boolean },
  ) {
    this.now = at.now;
    this.#lastNow = at.now;
    this.mono = at.mono;
    this.kindsNotInAll = rules.kindsNotInAll;
    this.reserved = rules.reserved;
    this.askForStrangers = rules.askForStrangers;
  }

  /** The process ends and begins again: what it held in memory is gone, the rows are read. */
  restart(window: number): void {
    this.#seen.clear();
    this.passes.clear();
    this.usedPasses.clear();
    this.#lastNow = this.now;
    this.#read(window);
  }

  /** The clocks may have moved. */
  look(window: number): void {
    if (this.now < this.#lastNow - 1000) this.#read(window);
    this.#lastNow = this.now;
  }

  /** More time has passed than anything is remembered for. */
  sleep(): void {
    this.#known = [];
  }

  #read(window: number): void {
    this.#known = this.rows.filter(({ at }) => at >= this.now - window);
  }

  /** The grant, or the refusal. */
  answer(request: NaiveRequest): string {
    const handled = this.#known.some(({ envelope }) => envelope === request.envelope);
    if (handled && !request.again) return 'replayed';
    if (request.type === 'connect') return this.connect(request, handled);
    if (request.type === 'logout') return this.logout(request, handled);
    const counted = handled || this.knowsBody(request) || request.recheck;
    let [answer, pay] = this.decide(request, counted);
    if (answer === NOTHING_ANSWERS) {
      const admin = this.allowedOnce(request, request.method, request.kind);
      if (admin === null) return request.final ? 'not authorized' : 'ask';
      answer = `admin:${admin}`;
      pay = () => this.usePass(request);
    }
    if (!answer.includes(':') || request.recheck || handled) return answer;
    pay();
    this.record(request, this.knowsBody(request));
    return answer;
  }

  private connect(request: NaiveRequest, handled: boolean): string {
    if (this.keyDeleted) return 'not authorized';
    const { client } = request;
    const token = this.tokens.find(({ secret }) => secret === request.secret);
    if (token === undefined || token.redeemedBy === client) {
      if (this.users.has(client)) return this.reconnect(request, handled);
      return request.secret === '' ? this.stranger(request) : 'token not found';
    }
    if (token.redeemedBy !== null) return 'token already redeemed';
    if (token.deleted) return 'token revoked';
    if (this.expired(`token ${token.id}`, token.expiresAt)) return 'token expired';
    if (this.users.get(client)?.revoked) this.endGrants(client);
    this.users.set(client, { revoked: false });
    token.redeemedBy = client;
    token.redeemedAt = this.now;
    this.record(request, this.knowsBody(request));
    return `token:${token.id}`;
  }

  private reconnect(request: NaiveRequest, handled: boolean): string {
    const [answer] = this.decide({ ...request, method: 'connect', kind: null, peer: null }, false);
    if (answer === 'binding' && !handled) this.record(request, this.knowsBody(request));
    return answer;
  }

  private stranger(request: NaiveRequest): string {
    const admin = this.allowedOnce(request, 'connect', null);
    if (admin === null) return this.askForStrangers && !request.final ? 'ask' : 'not authorized';
    this.users.set(request.client, { revoked: false });
    this.usePass(request);
    this.record(request, this.knowsBody(request));
    return `admin:${admin}`;
  }

  /** The admin whose pass is good for this request. */
  private allowedOnce(request: NaiveRequest, method: string, kind: number | null): string | null {
    const pass = this.usedPasses.get(request.body) ?? this.passes.get(request.pass ?? '');
    if (pass === undefined || this.mono >= pass.until) return null;
    const isFor = pass.client === request.client && pass.method === method && pass.kind === kind;
    return isFor ? pass.admin : null;
  }

  /** One request, and its retries for ten minutes. */
  private usePass({ pass, body }: NaiveRequest): void {
    const held = this.passes.get(pass ?? '');
    if (held === undefined) return;
    this.passes.delete(pass ?? '');
    this.usedPasses.set(body, { ...held, until: this.mono + 600_000 });
  }

  private logout(request: NaiveRequest, handled: boolean): string {
    if (handled) return 'binding';
    if (this.keyDeleted) return 'not authorized';
    const user = this.users.get(request.client);
    if (user === undefined) return 'no binding';
    if (user.revoked) return 'revoked';
    user.revoked = true;
    this.endGrants(request.client);
    this.record(request, false);
    return 'binding';
  }

  /** What was granted before a revocation stays dead. */
  endGrants(client: string): void {
    for (const token of this.tokens) if (token.redeemedBy === client) token.deleted = true;
    for (const condition of this.conditions) {
      if (condition.client !== client || !condition.allowed) continue;
      condition.expiresAt = Math.min(condition.expiresAt ?? this.now, this.now);
    }
  }

  private decide(request: NaiveRequest, counted: boolean): [string, () => void] {
    const no = (text: string): [string, () => void] => [text, () => {}];
    const { client, method, kind, peer } = request;
    if (this.keyDeleted) return no('not authorized');
    const user = this.users.get(client);
    if (user === undefined) return no('no binding');
    if (user.revoked) return no('revoked');
    if (method === 'sign_event' && kind === 24133) return no('not authorized');
    if (method === 'nip44_decrypt' || method === 'nip04_decrypt') {
      if (peer === null || this.reserved.includes(peer)) return no('not authorized');
      if (peer !== client && this.users.has(peer)) return no('not authorized');
    }

    const own = this.conditions.filter((c) => c.client === client && !this.expired(`condition ${c.id}`, c.expiresAt));
    if (own.some((c) => !c.allowed && (c.method === '*' || c.method === null))) return no('not authorized');
    const answering = own
      .filter((c) => c.method !== null && this.means(c.method, method))
      .filter((c) => {
        return method !== 'sign_event' || c.kind === 'all' || c.kind === `${kind}`;
      });
    if (answering.some((c) => !c.allowed)) return no('not authorized');
    if (BOUND_METHODS.includes(method)) return no('binding');
    const yes = answering.filter((c) => c.allowed && !(c.kind === 'all' && this.outsideAll(method, kind)));
    if (yes.length > 0) return no(`condition:${Math.min(...yes.map(({ id }) => id))}`);

    const tokens = this.tokens
      .filter((t) => t.redeemedBy === client)
      .sort((a, b) => a.redeemedAt - b.redeemedAt || a.id - b.id);
    const counts: { token: NaiveToken; rule: NaiveRule }[] = [];
    const reasons: string[] = [];
    for (const token of tokens) {
      const reason = this.whyDead(token);
      for (const rule of token.policy.rules) {
        if (!this.matches(rule, method, kind) || this.expired(`rule ${rule.id}`, rule.expiresAt)) continue;
        if (reason !== null) reasons.push(reason);
        else if (rule.max === null && rule.perToken === null) return no(`rule:${rule.id}`);
        else counts.push({ token, rule });
      }
    }
    const usable = counts.find(({ token, rule }) => counted || this.left(token, rule));
    if (usable !== undefined) {
      const { token, rule } = usable;
      const pay = () => {
        if (counted) return;
        if (rule.max !== null) rule.used++;
        if (rule.perToken !== null) token.used.set(rule.id, (token.used.get(rule.id) ?? 0) + 1);
      };
      return [`rule:${rule.id}`, pay];
    }
    if (counts.length > 0) return no('usage limit reached');
    return no(reasons[0] ?? NOTHING_ANSWERS);
  }

  private left(token: NaiveToken, rule: NaiveRule): boolean {
    if (rule.max !== null && rule.used >= rule.max) return false;
    return rule.perToken === null || (token.used.get(rule.id) ?? 0) < rule.perToken;
  }

  private whyDead({ id, deleted, expiresAt, policy }: NaiveToken): string | null {
    if (deleted) return 'token revoked';
    if (this.expired(`token ${id}`, expiresAt)) return 'token expired';
    return policy.deleted || this.expired(`policy ${policy.id}`, policy.expiresAt) ? 'policy expired' : null;
  }

  private matches(rule: NaiveRule, method: string, kind: number | null): boolean {
    if (!this.means(rule.method, method)) return false;
    if (method !== 'sign_event') return true;
    if (rule.kind === null || rule.kind === 'all') return !this.outsideAll(method, kind);
    return rule.kind === `${kind}`;
  }

  private means(stored: string, method: string): boolean {
    if (stored === 'encrypt') return ['nip44_encrypt', 'nip04_encrypt'].includes(method);
    if (stored === 'decrypt') return ['nip44_decrypt', 'nip04_decrypt'].includes(method);
    return stored === method;
  }

  private outsideAll(method: string, kind: number | null): boolean {
    return method === 'sign_event' && [24134, ...this.kindsNotInAll].includes(kind ?? 24134);
  }

  /** What was once seen as expired stays so when the clock is set back. */
  private expired(record: string, date: number | null): boolean {
    if (date === null) return false;
    if (this.now >= date) this.#seen.add(`${record} ${date}`);
    return this.#seen.has(`${record} ${date}`);
  }

  private knowsBody({ body }: NaiveRequest): boolean {
    return this.#known.some((row) => row.body === body);
  }

  private record({ envelope, body }: NaiveRequest, retry: boolean): void {
    const row = { envelope, body: retry ? null : body, at: this.now };
    this.rows.push(row);
    this.#known.push(row);
  }
}
