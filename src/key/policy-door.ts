import type { MessagePort } from 'node:worker_threads';
import type { Clock } from '../actor/clock.ts';
import { Link } from '../actor/link.ts';
import { ActorError } from '../actor/protocol.ts';
import type {
  Asked,
  ConnectRequest,
  DecideRequest,
  Decision,
  KeyToPolicy,
  PolicyToKey,
  RelayAuthRequest,
} from '../policy/protocol.ts';

/** Who decides, as a key actor sees it. */
export type Policy = Pick<PolicyDoor, 'attach' | 'decide' | 'connect' | 'logout' | 'relayAuth'>;

/**
 * A key actor's way to the policy actor. When the policy actor is restarted, what waited for an answer is asked
 * again on the new port, marked so that its own envelope does not count as a replay, until its deadline.
 */
export class PolicyDoor {
  readonly #clock: Clock;
  readonly #waited: (ms: number) => void;
  #link: Link<KeyToPolicy, PolicyToKey> | undefined;
  #waiters: (() => void)[] = [];

  /** @param waited told how long each decision took, ms */
  constructor(clock: Clock, waited: (ms: number) => void = () => {}) {
    this.#clock = clock;
    this.#waited = waited;
  }

  attach(port: MessagePort): void {
    this.#link?.close();
    this.#link = new Link<KeyToPolicy, PolicyToKey>(port, {});
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const go of waiters) go();
  }

  decide(request: DecideRequest): Promise<Decision> {
    return this.#ask(
      (link, again, timeoutMs) => link.ask('decide', again ? { ...request, again } : request, { timeoutMs }),
      request,
    );
  }

  connect(request: ConnectRequest): Promise<Decision> {
    return this.#ask(
      (link, again, timeoutMs) => link.ask('connect', again ? { ...request, again } : request, { timeoutMs }),
      request,
    );
  }

  logout(request: Asked): Promise<Decision> {
    return this.#ask(
      (link, again, timeoutMs) => link.ask('logout', again ? { ...request, again } : request, { timeoutMs }),
      request,
    );
  }

  relayAuth(request: RelayAuthRequest): Promise<Decision> {
    return this.#decided((link, _again, timeoutMs) => link.ask('relayAuth', request, { timeoutMs }), request);
  }

  async #ask(
    send: (link: Link<KeyToPolicy, PolicyToKey>, again: boolean, timeoutMs: number) => Promise<Decision>,
    request: Asked,
  ): Promise<Decision> {
    const begun = this.#clock.mono();
    const decision = await this.#decided(send, request);
    this.#waited(this.#clock.mono() - begun);
    return decision;
  }

  /** Never rejects: what cannot be decided is not allowed. */
  async #decided(
    send: (link: Link<KeyToPolicy, PolicyToKey>, again: boolean, timeoutMs: number) => Promise<Decision>,
    request: Pick<Asked, 'expires' | 'again'>,
  ): Promise<Decision> {
    let again = request.again ?? false;
    for (;;) {
      const left = request.expires - this.#clock.mono();
      if (left <= 0) return { ok: false, refusal: 'audit log unavailable' };
      const link = this.#link;
      if (link === undefined || link.closed) {
        await this.#attached(left);
        continue;
      }
      try {
        return await send(link, again, left);
      } catch (error) {
        const closed = error instanceof ActorError && error.code === 'closed';
        if (!closed) return { ok: false, refusal: 'audit log unavailable' };
        again = true;
      }
    }
  }

  #attached(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      this.#waiters.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }
}
