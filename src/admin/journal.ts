import type { NostrEvent } from '../nip46/event.ts';
import type { Answer } from './answer.ts';
import type { PolicyLine } from './policy-line.ts';

/** One request that changes something, as the audit log names it. */
export interface Entry {
  event: NostrEvent;
  method: string;
  /** What it works on; never a secret. */
  target: string;
}

/** The admin actor's side of the audit log, which the policy actor keeps. */
export class Journal {
  readonly #policy: PolicyLine;

  constructor(policy: PolicyLine) {
    this.#policy = policy;
  }

  /**
   * Remembers the event durably, before it is carried out.
   *
   * @returns `go`, `replayed` (it was carried out before: silence), or the answer to give instead
   */
  async begin({ event, method, target }: Entry): Promise<'go' | 'replayed' | Answer> {
    const { id, pubkey, created_at: createdAt } = event;
    try {
      const begun = await this.#policy.ask('begin', { admin: pubkey, event: id, method, target, createdAt });
      if (begun.ok) return 'go';
      return begun.refusal === 'replayed' ? 'replayed' : { ok: false, error: begun.refusal, passing: true };
    } catch {
      return { ok: false, error: 'audit log unavailable: nothing was done', passing: true };
    }
  }

  /** Records how it ended. @returns false when that could not be recorded */
  async end({ event, method, target }: Entry, outcome: string): Promise<boolean> {
    try {
      const body = { admin: event.pubkey, event: event.id, method, target, outcome };
      return (await this.#policy.ask('end', body)).ok;
    } catch {
      return false;
    }
  }
}
