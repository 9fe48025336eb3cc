import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { DaemonStatus } from './admin/protocol.ts';
import type { Outcome } from './key/protocol.ts';
import { stageHistogram } from './metrics/stage-histogram.ts';
import { StageTimes } from './metrics/stage-times.ts';
import type { PolicyStatus } from './policy/protocol.ts';

/** What is read when metrics are asked for. */
export interface Observed {
  status(): DaemonStatus;
  relayCounts(): { readonly [name: string]: number };
  /** Without a write; null when the policy actor does not answer. */
  policy(): Promise<PolicyStatus | null>;
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
  readonly times = new StageTimes();
  readonly #restarts = new Map<string, number>();

  constructor() {
    this.#count('redoubt_requests_total', 'Requests by method and outcome', ['method', 'outcome'], (add) => {
      for (const [method, outcomes] of this.#finished) {
        for (const [outcome, count] of outcomes) if (!outcome.startsWith(DROPPED)) add({ method, outcome }, count);
      }
    });
    this.#count('redoubt_dropped_total', 'Events that were not answered, by reason', ['reason'], (add) => {
      for (const [reason, count] of this.#dropped) add({ reason }, count);
    });
    this.#count('redoubt_actor_restarts_total', 'Crashes of the policy, admin and vault actors', ['actor'], (add) => {
      for (const [actor, count] of this.#restarts) add({ actor }, count);
    });
    this.registry.registerMetric(stageHistogram(this.times));
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
    this.times.observe('total', ms);
    this.#latencies[this.#answered++ % KEPT] = ms;
  }

  /** An event that went no further. @param reason of a closed set, never what somebody sent */
  dropped(reason: string): void {
    const name = this.#dropped.has(reason) || this.#dropped.size < MAX_REASONS ? reason : OTHER;
    this.#dropped.set(name, (this.#dropped.get(name) ?? 0) + 1);
  }

  /** An actor of which there is one crashed. */
  restarted(actor: string): void {
    this.#restarts.set(actor, (this.#restarts.get(actor) ?? 0) + 1);
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
    const status = oncePerTurn(() => daemon.status());
    const policy = oncePerTurn(() => daemon.policy());
    collectDefaultMetrics({ register: this.registry, eventLoopMonitoringPrecision: 20 });
    this.#read('redoubt_info', 'Version and curve arithmetic', ['version', 'curve'], (set) => {
      const { version, curve } = status();
      set({ version, curve }, 1);
    });
    this.#read('redoubt_queue_depth', 'Waiting: for a key, for a decision, for a relay', ['queue'], async (set) => {
      const { keys, publish } = status().queues;
      set({ queue: 'keys' }, keys);
      set({ queue: 'publish' }, publish);
      const found = await policy();
      if (found !== null) set({ queue: 'policy' }, found.waiting);
    });
    this.#read('redoubt_audit_writable', '1 while the audit log can be written, 0 while not', [], async (set) =>
      set({}, (await policy())?.writable ? 1 : 0),
    );
    this.#read('redoubt_audit_rows', 'Rows of the audit log', [], async (set) => {
      const found = await policy();
      if (found !== null) set({}, found.auditRows);
    });
    this.#read(
      'redoubt_autounlock_missing_keys',
      'Keys that autounlock should have unlocked and has not',
      [],
      (set) => {
        const { autounlock } = status();
        if (autounlock !== null) set({}, autounlock.total - autounlock.unlocked);
      },
    );
    this.#count('redoubt_key_activations_total', 'Threads given to keys', [], (add) =>
      add(status().threads.activations),
    );
    this.#count('redoubt_key_passivations_total', 'Threads taken from idle keys', [], (add) =>
      add(status().threads.passivations),
    );
    this.#count('redoubt_key_crashes_total', "Crashes of keys' threads", [], (add) => add(status().threads.crashes));
    this.#read('redoubt_keys', 'Keys by state; active ones are unlocked too', ['state'], (set) => {
      const { keys, quarantined } = status();
      const { unlocked, locked, active } = keys;
      const states = { unlocked, locked, active, quarantined: quarantined.length };
      for (const [state, count] of Object.entries(states)) set({ state }, count);
    });
    // Names of nsecbunkerd, whose dashboards read them: gauges in spite of `_total`.
    this.#read('nsecbunkerd_keys_unlocked_total', 'Keys that are unlocked', [], (set) =>
      set({}, status().keys.unlocked),
    );
    this.#read('nsecbunkerd_keys_locked_total', 'Keys that are locked', [], (set) => set({}, status().keys.locked));
    this.#read('redoubt_relay_state', '1 for the state that a relay is in', ['relay', 'state'], (set) => {
      for (const { url, state } of status().relays) set({ relay: relayName(url), state }, 1);
    });
    this.#read('redoubt_relay_round_trip_seconds', 'Round trip of the last probe', ['relay'], (set) => {
      for (const { url, roundTripMs } of status().relays) {
        if (roundTripMs !== null) set({ relay: relayName(url) }, roundTripMs / 1000);
      }
    });
    this.#count('redoubt_relay_reconnects_total', 'Times that a relay was connected again', ['relay'], (add) => {
      for (const { url, reconnects } of status().relays) add({ relay: relayName(url) }, reconnects);
    });
    this.#count('redoubt_relay_events_total', 'What happened between us and the relays', ['event'], (add) => {
      for (const [event, count] of Object.entries(daemon.relayCounts())) add({ event }, count);
    });
  }

  /** A gauge that `read` sets each time it is asked for: what it leaves out is gone. */
  #read(
    name: string,
    help: string,
    labelNames: string[],
    read: (set: Gauge<string>['set']) => void | Promise<void>,
  ): void {
    const gauge: Gauge<string> = new Gauge({
      name,
      help,
      labelNames,
      registers: [this.registry],
      collect() {
        gauge.reset();
        return read(gauge.set.bind(gauge));
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

/** All series are read in one turn of the event loop: what they are read from is looked at once. */
function oncePerTurn<T>(look: () => T): () => T {
  let seen: { value: T } | null = null;
  return () => {
    if (seen === null) {
      seen = { value: look() };
      queueMicrotask(() => {
        seen = null;
      });
    }
    return seen.value;
  };
}

/** Without its query, where paid relays put what opens them. */
export function relayName(url: string): string {
  return url.split('?', 1)[0] as string;
}
