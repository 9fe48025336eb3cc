import type { Clock } from '../actor/clock.ts';
import type { PolicyLine } from './policy-line.ts';

const HOUR_MS = 3_600_000;
/** Rows an hour; what is refused beyond that is only counted, so that nobody can fill the disk by being refused. */
const MOST = { admin: 60, stranger: 60 } as const;

/** Why a request to the daemon came to nothing. Metrics and the audit log name it. */
export type RefusedBecause =
  | 'too large'
  | 'clock skew'
  | 'signature'
  | 'undecryptable'
  | 'not a request'
  | 'not an admin'
  | 'unknown method'
  | 'invalid params'
  | 'replayed';

export interface RefusedRequest {
  /** Claimed by the event; whoever it is from, where `genuine`. */
  sender: string;
  event: string;
  /** Id and signature are the event's own. */
  genuine: boolean;
  isAdmin: boolean;
  /** Of ours, never a text that somebody sent. */
  method: string | null;
  reason: RefusedBecause;
}

/** Notes refused requests in the audit log: the first of each kind, for each sender and hour. docs/ADMIN.md */
export class Refused {
  readonly #policy: PolicyLine;
  readonly #clock: Clock;
  readonly #seen = { admin: new Set<string>(), stranger: new Set<string>() };
  #since: number;

  constructor(policy: PolicyLine, clock: Clock) {
    this.#policy = policy;
    this.#clock = clock;
    this.#since = clock.mono();
  }

  note({ isAdmin, ...request }: RefusedRequest): void {
    const now = this.#clock.mono();
    if (now - this.#since >= HOUR_MS) {
      this.#since = now;
      this.#seen.admin.clear();
      this.#seen.stranger.clear();
    }
    // Who only claims to be an admin must not use up what admins have.
    const who = isAdmin && request.genuine ? 'admin' : 'stranger';
    const seen = this.#seen[who];
    const kind = `${request.sender} ${request.reason}`;
    if (seen.has(kind) || seen.size >= MOST[who]) return;
    seen.add(kind);
    // It was refused already, and the log that cannot be written is told of elsewhere.
    this.#policy.ask('refused', request).catch(() => {});
  }
}
