import type { Link } from '../actor/link.ts';
import type { Handlers } from '../actor/protocol.ts';
import { ClientRates } from '../key/rate.ts';
import { readHead } from '../relay/head.ts';
import type { Incoming } from '../relay/protocol.ts';
import type { Relays } from '../relay/relays.ts';
import type { AdminToMain, MainToAdmin } from './protocol.ts';

/** Strangers' events to the daemon's own key that are looked at, a minute. */
const STRANGERS_A_MINUTE = 10;

export interface AdminGateOptions {
  /** hex */
  admins(): readonly string[];
  admin(): Link<MainToAdmin, AdminToMain>;
  relays: Relays;
  dropped(reason: string): void;
}

/** What the admin actor says to the gate, which is not there yet when that actor is made. */
export function gateHandlers(gate: () => AdminGate): Pick<Handlers<AdminToMain>, 'publish' | 'verdict' | 'dropped'> {
  return {
    publish: ({ event }) => gate().publish(event),
    verdict: ({ seq, ok }) => gate().verdict(seq, ok),
    dropped: ({ reason }) => gate().dropped(reason),
  };
}

/** The main thread's way to the admin actor and back: ciphertext in, signed events out. */
export class AdminGate {
  readonly #options: AdminGateOptions;
  readonly #strangers = new ClientRates(STRANGERS_A_MINUTE / 60, STRANGERS_A_MINUTE, 1);
  /** Events whose relay waits to hear whether they are genuine. */
  readonly #waiting = new Map<number, Incoming>();
  #nextSeq = 1;

  constructor(options: AdminGateOptions) {
    this.#options = options;
  }

  /** An event that is addressed to the daemon. Admins have a lane of their own, which strangers cannot fill. */
  route(incoming: Incoming): void {
    const lane = this.#options.admins().includes(incoming.head.pubkey) ? 'admin' : 'stranger';
    if (lane === 'stranger' && !this.#strangers.take('', incoming.arrived)) {
      this.#options.dropped('strangers: rate');
      incoming.verdict?.(false, 'rate-limited: try again later');
      return;
    }
    const seq = this.#nextSeq++;
    this.#waiting.set(seq, incoming);
    this.#options.admin().tell('event', { seq, raw: incoming.raw, arrived: incoming.arrived, lane });
  }

  verdict(seq: number, ok: boolean): void {
    const incoming = this.#waiting.get(seq);
    if (incoming === undefined) return;
    this.#waiting.delete(seq);
    if (ok) this.#options.relays.remember(incoming.head.id);
    incoming.verdict?.(ok, ok ? undefined : 'invalid: not accepted');
  }

  /** The admin actor was restarted: what the old one had is answered by nobody. */
  forget(): void {
    for (const incoming of this.#waiting.values()) incoming.verdict?.(false, 'error: try again');
    this.#waiting.clear();
  }

  dropped(reason: string): void {
    this.#options.dropped(`admin: ${reason}`);
  }

  publish(event: string): void {
    const read = readHead(JSON.parse(event), Number.MAX_SAFE_INTEGER);
    if (typeof read !== 'string') void this.#options.relays.publish(event, read.head);
  }
}
