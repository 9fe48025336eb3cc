import type { Clock } from '../actor/clock.ts';
import type { Approval, LogLine, Outcome } from '../policy/protocol.ts';
import type { Decision } from './decision.ts';
import type { PolicyLine } from './policy-line.ts';
import type { ApprovalAnswer, ApprovalQuestion } from './protocol.ts';

/** A client's request that no rule answers, as admins see it. */
export interface Pending extends ApprovalQuestion {
  id: string;
  keyName: string;
  /** ms since the epoch */
  askedAt: number;
  /** ms since the epoch; after it the client has been refused. */
  waitsUntil: number;
}

interface Entry extends Pending {
  waiting: ((answer: ApprovalAnswer) => void)[];
  /** Monotonic ms after which nobody may decide on it any more. */
  forgetAt: number;
  timer: NodeJS.Timeout;
}

export interface ApprovalsOptions {
  clock: Clock;
  policy: PolicyLine;
  /** Unpredictable, hex. */
  newId: () => string;
  /** ms that admins have. */
  timeoutMs: () => number;
  /** Shows it to every admin; false when there is none. */
  show: (pending: Pending) => boolean;
  log: (level: LogLine['level'], message: string, fields: LogLine['fields']) => void;
}

/** An `always` or `never` that comes late still writes its rule, ms. */
const LATE_MS = 300_000;
/** Questions of strangers that one key may have open, of one client, and of all keys. */
const STRANGERS_PER_KEY = 5;
const PER_CLIENT = 8;
const IN_ALL = 512;
/** Requests that wait for one and the same answer. */
const WAITING = 64;

/** Approvals: questions that wait for an admin. In memory only; a restart leaves none. docs/ADMIN.md */
export class Approvals {
  readonly #options: ApprovalsOptions;
  readonly #entries = new Map<string, Entry>();
  #closed = false;

  constructor(options: ApprovalsOptions) {
    this.#options = options;
  }

  /** Asks the admins, or joins who waits for the same answer already. Resolves in time, whatever they do. */
  ask(keyName: string, question: ApprovalQuestion): Promise<ApprovalAnswer> {
    this.#forgetOld();
    const same = this.#waiting().find((entry) => entry.keyName === keyName && isSame(entry, question));
    const entry = same ?? this.#open(keyName, question);
    if (entry === null || entry.waiting.length >= WAITING) return Promise.resolve({ verdict: 'no' });
    return new Promise((resolve) => entry.waiting.push(resolve));
  }

  /** What may be decided on, the oldest first; `waiting` until the client has been refused. */
  list(): (Pending & { waiting: boolean })[] {
    this.#forgetOld();
    return [...this.#entries.values()].map(({ timer: _, forgetAt: __, waiting, ...pending }) => {
      return { ...pending, waiting: waiting.length > 0 };
    });
  }

  /** What an admin is about to decide on. */
  get(id: string): Pending | undefined {
    this.#forgetOld();
    return this.#entries.get(id);
  }

  /** Carries an admin's decision out. Refused with a line for the admin. */
  async decide(id: string, decision: Decision, admin: string): Promise<Outcome<null>> {
    const entry = this.#entries.get(id);
    if (entry === undefined) return refused(`no request ${id} waits for a decision: get_requests lists those that do`);
    const done = await this.#carryOut(entry, decision, admin);
    if (done.ok) {
      const { keyName: key, client, method, kind } = entry;
      this.#options.log('info', 'approval: decided', { id, key, client, method, kind, verdict: decision.verdict });
    }
    return done;
  }

  /** The key was deleted: what was asked of it is no question of the next key of its name. */
  forgetKey(keyName: string): void {
    for (const entry of [...this.#entries.values()]) {
      if (entry.keyName === keyName) this.#settle(entry, () => ({ verdict: 'no' }));
    }
  }

  /** Nobody is asked any more, and who waits is refused. */
  close(): void {
    this.#closed = true;
    for (const entry of [...this.#entries.values()]) this.#settle(entry, () => ({ verdict: 'no' }));
  }

  async #carryOut(entry: Entry, decision: Decision, admin: string): Promise<Outcome<null>> {
    switch (decision.verdict) {
      case 'deny':
        this.#settle(entry, () => ({ verdict: 'no' }));
        return { ok: true, value: null };
      case 'once': {
        if (entry.waiting.length === 0) {
          return refused('the client has been refused by now: have it ask again, or allow it always');
        }
        return this.#letThrough(entry, admin);
      }
      case 'never':
      case 'always': {
        const allowed = decision.verdict === 'always';
        const written = await this.#options.policy.ask('writeApproval', approvalOf(entry, decision, allowed));
        if (!written.ok) return written;
        // A kind that `all` does not include: what the admin was asked about is allowed all the same.
        if (allowed && entry.waiting.length > 0) await this.#letThrough(entry, admin);
        else this.#settle(entry, () => ({ verdict: 'no' }));
        for (const other of this.#waiting().filter((other) => isLike(other, entry))) {
          this.#settle(other, () => ({ verdict: 'again', pass: null }));
        }
        return { ok: true, value: null };
      }
      default:
        return decision satisfies never;
    }
  }

  /** A pass for each that waits. */
  async #letThrough(entry: Entry, admin: string): Promise<Outcome<null>> {
    const { keyName, client, method, kind } = entry;
    const passes = entry.waiting.map(() => this.#options.newId());
    const given = await this.#options.policy.ask('passOnce', { passes, keyName, client, method, kind, admin });
    if (!given.ok) return given;
    // Who has joined meanwhile is asked for again.
    this.#settle(entry, (i) => ({ verdict: 'again', pass: passes[i] ?? null }));
    return given;
  }

  #open(keyName: string, question: ApprovalQuestion): Entry | null {
    const { clock, timeoutMs: timeout, newId, show, log } = this.#options;
    const { client, method, kind, stranger } = question;
    const open = this.#waiting();
    const ofKey = open.filter((entry) => entry.keyName === keyName);
    const full =
      open.length >= IN_ALL ||
      (stranger && ofKey.filter((entry) => entry.stranger).length >= STRANGERS_PER_KEY) ||
      ofKey.filter((entry) => entry.client === client).length >= PER_CLIENT;
    const timeoutMs = timeout();
    if (full || timeoutMs === 0 || this.#closed) return null;
    const id = newId();
    const askedAt = clock.now();
    const entry: Entry = {
      ...question,
      id,
      keyName,
      askedAt,
      waitsUntil: askedAt + timeoutMs,
      waiting: [],
      forgetAt: clock.mono() + timeoutMs + LATE_MS,
      timer: setTimeout(() => this.#giveUp(entry), timeoutMs),
    };
    if (!show(entry)) {
      clearTimeout(entry.timer);
      return null;
    }
    this.#entries.set(id, entry);
    log('info', 'approval: admins are asked', { id, key: keyName, client, method, kind });
    return entry;
  }

  /** Nobody decided in time: the client is refused, and the question stays for a rule that comes late. */
  #giveUp(entry: Entry): void {
    const { id, keyName: key, client, method, kind } = entry;
    this.#options.log('info', 'approval: no answer in time', { id, key, client, method, kind });
    this.#answer(entry, () => ({ verdict: 'no' }));
  }

  #settle(entry: Entry, answer: (i: number) => ApprovalAnswer): void {
    clearTimeout(entry.timer);
    this.#entries.delete(entry.id);
    this.#answer(entry, answer);
  }

  #answer(entry: Entry, answer: (i: number) => ApprovalAnswer): void {
    for (const [i, resolve] of entry.waiting.splice(0).entries()) resolve(answer(i));
  }

  #waiting(): Entry[] {
    return [...this.#entries.values()].filter((entry) => entry.waiting.length > 0);
  }

  #forgetOld(): void {
    const now = this.#options.clock.mono();
    for (const entry of this.#entries.values()) {
      const late = entry.waiting.length === 0;
      if (entry.forgetAt <= now || (late && this.#entries.size > 2 * IN_ALL)) this.#entries.delete(entry.id);
    }
  }
}

function approvalOf(
  entry: Entry,
  { label, kind }: Extract<Decision, { verdict: 'always' | 'never' }>,
  allowed: boolean,
): Approval {
  const { keyName, client, method } = entry;
  const own = entry.kind === null ? null : String(entry.kind);
  return { keyName, client, method, kind: kind ?? own, allowed, label };
}

function isSame(entry: Entry, { client, method, kind, subject }: ApprovalQuestion): boolean {
  return entry.client === client && entry.method === method && entry.kind === kind && entry.subject === subject;
}

/** Whether a rule that was written for the one may answer the other too. */
function isLike(other: Entry, entry: Entry): boolean {
  return other.keyName === entry.keyName && other.client === entry.client && other.method === entry.method;
}

function refused(refusal: string): Outcome<null> {
  return { ok: false, refusal };
}
