import type { Clock } from '../actor/clock.ts';
import { Link } from '../actor/link.ts';
import type { AdminToKey, ApprovalAnswer, ApprovalQuestion, KeyToAdmin } from '../admin/protocol.ts';
import type { KeyToMain, MainToKey } from './protocol.ts';

/**
 * A key actor's way to the admins, by way of the admin actor: what is shown to them is the plaintext of a request, and
 * goes there directly. Made when it is needed for the first time, and anew when the admin actor was restarted.
 */
export class AdminDoor {
  readonly #main: Pick<Link<KeyToMain, MainToKey>, 'ask'>;
  readonly #clock: Clock;
  #link: Link<KeyToAdmin, AdminToKey> | undefined;

  constructor(main: Pick<Link<KeyToMain, MainToKey>, 'ask'>, clock: Clock) {
    this.#main = main;
    this.#clock = clock;
  }

  /** Never rejects: without an answer nothing is allowed. @param expires monotonic ms */
  async ask(question: ApprovalQuestion, expires: number): Promise<ApprovalAnswer> {
    const timeoutMs = expires - this.#clock.mono();
    if (timeoutMs <= 0) return { verdict: 'no' };
    try {
      if (this.#link === undefined || this.#link.closed) {
        this.#link = new Link<KeyToAdmin, AdminToKey>(await this.#main.ask('admins', null), {});
      }
      return await this.#link.ask('approve', question, { timeoutMs });
    } catch {
      return { verdict: 'no' };
    }
  }
}
