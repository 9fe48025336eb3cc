import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { DaemonStatus } from './admin/protocol.ts';
import type { Outcome } from './key/protocol.ts';

/** What is read when metrics are asked for. */
export interface Observed {
  status(): DaemonStatus;
  gauges(): { queued: number; relayCounts: { readonly [name: string]: number } };
}

/** The only methods that a label names: a client may send any text as a method. */
const METHODS: ReadonlySet<string> = new Set([
  'connect',
  'get_public_key',
  'ping',
  'sign_event',
  'nip04_encrypt',
  'nip04_decrypt',
  'nip44_encrypt',
  'nip44_decrypt',
  'switch_relays',
  'get_relays',
  'logout',
  'disconnect',
  'create_account',
]);
const OTHER = 'other';
const DROPPED = 'dropped: ';
/** Reasons are words of the program; this holds should one ever be made from what somebody sent. */
const MAX_REASONS = 64;
/** Latencies that quantiles are taken from: the last ones. */
const KEPT = 2_048;
const BUCKETS = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30];

/**
 * What the daemon counts. No label carries what a client chose: neither its pubkey nor a method that does not exist.
 * Counting is a number in a map; labels are made when somebody asks.
 */
export class Metrics {
  readonly registry = new Registry();
  readonly #finished = new Map<string, Map<Outcome, number>>();
  readonly #dropped = new Map<string, number>();
  readonly #latencies = new Float64Array(KEPT);
  #answered = 0;
  readonly #seconds = new Histogram({
    name: 'redoubt_request_seconds',
    help: 'Time from the arrival of a request to its response',
    buckets: BUCKETS,
    registers: [this.registry],
  });

  constructor() {
    this.#count('redoubt_requests_total', 'Requests by method and outcome', ['method', 'outcome'], (add) => {
      for (const [method, outcomes] of this.#finished) {
        for (const [outcome, count] of outcomes) if (!outcome.startsWith(DROPPED)) add({ method, outcome }, count);
      }
    });
    this.#count('redoubt_dropped_total', 'Events that were not answered, by reason', ['reason'], (add) => {
      for (const [reason, count] of this.#dropped) add({ reason }, count);
    });
  }

  /** The end of a request. @param ms since it arrived */
  finished(method: string, outcome: Outcome, ms: number): void {
    const name = METHODS.has(method) ? method : OTHER;
    const outcomes = this.#finished.get(name) ?? new Map<Outcome, number>();
    if (outcomes.size === 0) this.#finished.set(name, outcomes);
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    if (outcome.startsWith(DROPPED)) {
      this.dropped(outcome.slice(DROPPED.length));
      return;
    }
    this.#seconds.observe(ms / 1000);
    this.#latencies[this.#answered++ % KEPT] = ms;
  }

  /** An event that went no further. @param reason of a closed set, never what somebody sent */
  dropped(reason: string): void {
    const name = this.#dropped.has(reason) || this.#dropped.size < MAX_REASONS ? reason : OTHER;
    this.#dropped.set(name, (this.#dropped.get(name) ?? 0) + 1);
  }

  /** Requests since the start, by outcome. */
  requests(): { [outcome: string]: number } {
    const totals: { [outcome: string]: number } = {};
    for (const outcomes of this.#finished.values()) {
      for (const [outcome, count] of outcomes) totals[outcome] = (totals[outcome] ?? 0) + count;
    }
    return totals;
  }

  /** Quantiles of the last requests, ms; null before the first. */
  latency(): { p50: number; p95: number; p99: number } | null {
    const sorted = this.#latencies.slice(0, Math.min(this.#answered, KEPT)).sort();
    if (sorted.length === 0) return null;
    const at = (share: number) => sorted[Math.ceil(share * sorted.length) - 1] as number;
    return { p50: at(0.5), p95: at(0.95), p99: at(0.99) };
  }

  /** Adds what is read from the daemon and from the process when metrics are asked for. Call once. */
  observe(daemon: Observed): void {
    collectDefaultMetrics({ register: this.registry, eventLoopMonitoringPrecision: 20 });
    this.#read('redoubt_info', 'Version and curve arithmetic', ['version', 'curve'], (set) => {
      const { version, curve } = daemon.status();
      set({ version, curve }, 1);
    });
    this.#read('redoubt_queue_depth', 'Requests that wait for a key', [], (set) => set({}, daemon.gauges().queued));
    this.#read('redoubt_keys', 'Keys by state; active ones are unlocked too', ['state'], (set) => {
      const { unlocked, locked, active } = daemon.status().keys;
      for (const [state, count] of Object.entries({ unlocked, locked, active })) set({ state }, count);
    });
    // Names of nsecbunkerd, whose dashboards read them: gauges in spite of `_total`.
    this.#read('nsecbunkerd_keys_unlocked_total', 'Keys that are unlocked', [], (set) =>
      set({}, daemon.status().keys.unlocked),
    );
    this.#read('nsecbunkerd_keys_locked_total', 'Keys that are locked', [], (set) =>
      set({}, daemon.status().keys.locked),
    );
    this.#read('redoubt_relay_state', '1 for the state that a relay is in', ['relay', 'state'], (set) => {
      for (const { url, state } of daemon.status().relays) set({ relay: relayName(url), state }, 1);
    });
    this.#read('redoubt_relay_round_trip_seconds', 'Round trip of the last probe', ['relay'], (set) => {
      for (const { url, roundTripMs } of daemon.status().relays) {
        if (roundTripMs !== null) set({ relay: relayName(url) }, roundTripMs / 1000);
      }
    });
    this.#count('redoubt_relay_events_total', 'What happened between us and the relays', ['event'], (add) => {
      for (const [event, count] of Object.entries(daemon.gauges().relayCounts)) add({ event }, count);
    });
  }

  /** A gauge that `read` sets each time it is asked for: what it leaves out is gone. */
  #read(name: string, help: string, labelNames: string[], read: (set: Gauge<string>['set']) => void): void {
    const gauge: Gauge<string> = new Gauge({
      name,
      help,
      labelNames,
      registers: [this.registry],
      collect() {
        gauge.reset();
        read(gauge.set.bind(gauge));
      },
    });
  }

  /** A counter whose numbers are kept elsewhere. */
  #count(name: string, help: string, labelNames: string[], read: (add: Counter<string>['inc']) => void): void {
    const counter: Counter<string> = new Counter({
      name,
      help,
      labelNames,
      registers: [this.registry],
      collect() {
        counter.reset();
        read(counter.inc.bind(counter));
      },
    });
  }
}

/** Without its query, where paid relays put what opens them. */
export function relayName(url: string): string {
  return url.split('?', 1)[0] as string;
}
