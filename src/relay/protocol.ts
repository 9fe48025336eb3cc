/** What the relay layer gives and takes. Everything here is ciphertext, signed events and public keys. */

/** The parts of an event that routing looks at, read once, where it arrives. Nothing in it is verified yet. */
export interface EventHead {
  id: string;
  pubkey: string;
  kind: number;
  created_at: number;
  /** First `p` tag, or an empty string. */
  p: string;
}

export interface Incoming {
  head: EventHead;
  /** The event's JSON as it came. */
  raw: string;
  /** URL of the relay it came from; `embedded` for our own. */
  from: string;
  /** Monotonic ms. */
  arrived: number;
  /**
   * Tells the sender's relay what became of it, where that relay is ours and waits (NIP-01 OK). Call at most once:
   * true once its signature was verified.
   */
  verdict?: (ok: boolean, reason?: string) => void;
}

/** A NIP-01 filter as we use it. */
export interface Filter {
  kinds?: number[];
  '#p'?: string[];
  authors?: string[];
  limit?: number;
}

export type RelayState = 'connecting' | 'ready' | 'degraded' | 'closed';

export interface RelayStatus {
  url: string;
  state: RelayState;
  /** Why it is not `ready`, in one line. */
  reason: string | null;
  /** ms, of the last probe that came back */
  roundTripMs: number | null;
  reconnects: number;
  /** Events of ours that wait to be sent or to be taken. */
  queued: number;
}
