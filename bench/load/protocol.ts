/** What a benchmark says to the load generator's process (bench/load/main.ts), and what it hears from it. */

/** A client that is bound to one key of the signer and may have kind 1 signed. */
export interface BoundClient {
  /** hex */
  secretKey: string;
  /** Pubkey of the signer's key. */
  remote: string;
}

export interface Order {
  /** sign_event requests of all clients together. */
  requests: number;
  /** Requests that each client has under way at once. */
  inFlight: number;
  /** Verify every answer after the clock has stopped; else answers are only counted, as in a warm-up. */
  check: boolean;
  /** Events to the clients themselves instead of requests: what the relay alone takes. With one in flight. */
  echo?: boolean;
}

/** Times in ms. */
export interface Measured {
  requests: number;
  wall: number;
  /** User and system time of the signer's process, of all its threads. */
  cpu: number;
  latency: { p50: number; p95: number; p99: number; max: number };
}

export type ToLoad = { open: { relay: string; clients: BoundClient[]; signerPid: number } } | { run: Order };
export type FromLoad = { opened: true } | { measured: Measured } | { failed: string };
