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
}

const BOUND_METHODS = ['connect', 'get_public_key', 'ping', 'switch_relays', 'get_relays'];

export class Naive {
  now: number;
  keyDeleted = false;
  readonly users = new Map<string, { revoked: boolean }>();
  readonly policies: NaivePolicy[] = [];
  readonly tokens: NaiveToken[] = [];
  readonly conditions: NaiveCondition[] = [];
  readonly envelopes = new Set<string>();
  readonly bodies = new Set<string>();
  readonly kindsNotInAll: number[];
  readonly reserved: string[];
  rows = 0;

  constructor(now: number, kindsNotInAll: number[], reserved: string[]) {
    this.now = now;
    this.kindsNotInAll = kindsNotInAll;
    this.reserved = reserved;
  }

  /** The grant, or the refusal. */
  answer(request: NaiveRequest): string {
    const handled = this.envelopes.has(request.envelope);
    if (handled && !request.again) return 'replayed';
    if (request.type === 'connect') return this.connect(request, handled);
    if (request.type === 'logout') return this.logout(request, handled);
    const counted = handled || this.bodies.has(request.body) || request.recheck;
    const [answer, pay] = this.decide(request, counted);
    if (!answer.includes(':') || request.recheck || handled) return answer;
    pay();
    this.record(request);
    return answer;
  }

  private connect(request: NaiveRequest, handled: boolean): string {
    if (this.keyDeleted) return 'not authorized';
    const token = this.tokens.find(({ secret }) => secret === request.secret);
    if (token === undefined || token.redeemedBy === request.client) {
      if (!this.users.has(request.client)) return request.secret === '' ? 'not authorized' : 'token not found';
      const [answer] = this.decide({ ...request, method: 'connect', kind: null, peer: null }, false);
      if (answer === 'binding' && !handled) this.record(request);
      return answer;
    }
    if (token.redeemedBy !== null) return 'token already redeemed';
    if (token.deleted) return 'token revoked';
    if (this.expired(token.expiresAt)) return 'token expired';
    if (this.users.get(request.client)?.revoked) this.endGrants(request.client);
    this.users.set(request.client, { revoked: false });
    token.redeemedBy = request.client;
    token.redeemedAt = this.now;
    this.record(request);
    return `token:${token.id}`;
  }

  private logout(request: NaiveRequest, handled: boolean): string {
    if (handled) return 'binding';
    if (this.keyDeleted) return 'not authorized';
    const user = this.users.get(request.client);
    if (user === undefined) return 'no binding';
    if (user.revoked) return 'revoked';
    user.revoked = true;
    this.endGrants(request.client);
    this.record(request);
    return 'binding';
  }

  private endGrants(client: string): void {
    for (const token of this.tokens) if (token.redeemedBy === client) token.deleted = true;
    for (const condition of this.conditions) {
      if (condition.client === client && condition.allowed && !this.expired(condition.expiresAt))
        condition.expiresAt = this.now;
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

    const own = this.conditions.filter((c) => c.client === client && !this.expired(c.expiresAt));
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
    const grants = tokens.flatMap((token) =>
      token.policy.rules
        .filter((rule) => !this.expired(rule.expiresAt) && this.matches(rule, method, kind))
        .map((rule) => ({ token, rule, dead: this.dead(token) })),
    );
    const live = grants.filter(({ dead }) => dead === null);
    const free = live.find(({ rule }) => rule.max === null && rule.perToken === null);
    if (free !== undefined) return no(`rule:${free.rule.id}`);
    const usable = live.find(({ token, rule }) => counted || this.left(token, rule));
    if (usable !== undefined) {
      const { token, rule } = usable;
      const pay = () => {
        if (counted) return;
        if (rule.max !== null) rule.used++;
        if (rule.perToken !== null) token.used.set(rule.id, (token.used.get(rule.id) ?? 0) + 1);
      };
      return [`rule:${rule.id}`, pay];
    }
    if (live.length > 0) return no('usage limit reached');
    return no(grants[0]?.dead ?? 'not authorized');
  }

  private left(token: NaiveToken, rule: NaiveRule): boolean {
    if (rule.max !== null && rule.used >= rule.max) return false;
    return rule.perToken === null || (token.used.get(rule.id) ?? 0) < rule.perToken;
  }

  private dead(token: NaiveToken): string | null {
    if (token.deleted) return 'token revoked';
    if (this.expired(token.expiresAt)) return 'token expired';
    return token.policy.deleted || this.expired(token.policy.expiresAt) ? 'policy expired' : null;
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

  private expired(date: number | null): boolean {
    return date !== null && this.now >= date;
  }

  private record(request: NaiveRequest): void {
    this.rows++;
    this.envelopes.add(request.envelope);
    this.bodies.add(request.body);
  }
}
