import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { DaemonStatus } from '../admin/protocol.ts';
import { relayName } from '../metrics.ts';
import type { PolicyStatus } from '../policy/protocol.ts';

/** What the daemon finds when it looks at itself, the database by a real write. */
export interface Findings {
  status: DaemonStatus;
  /** null when the policy actor does not answer. */
  policy: PolicyStatus | null;
  schemaVersion: number;
  /** Why it is not well; empty when it is. */
  reasons: readonly string[];
}

/** The body of `GET /api/health`. */
export interface Health {
  status: 'ok' | 'degraded';
  version: string;
  schemaVersion: number;
  database: { writable: boolean; failure: string | null };
  relays: { [url: string]: string };
  keys: DaemonStatus['keys'];
  quarantined: DaemonStatus['quarantined'];
  autounlock: DaemonStatus['autounlock'];
  /** ISO 8601; null when nothing was written in this run. */
  audit: { lastWrite: string | null; writable: boolean };
  curve: string;
  /** s */
  uptime: number;
  /** By how much timers were late since the last look, ms. */
  eventLoopDelay: { mean: number; p99: number; max: number };
  reasons: readonly string[];
}

const LOOK_MS = 5_000;
const RESOLUTION_MS = 50;
/** Anybody may ask, and each look is a write. */
const LOOKS_PER_SECOND = 10;

/**
 * Looks at the daemon when asked: one look at a time, shared by all who ask meanwhile. Who asks more often is told the
 * last one again.
 */
export class HealthCheck {
  readonly #look: () => Promise<Findings>;
  readonly #delay: ReturnType<typeof monitorEventLoopDelay>;
  #last: Promise<Health | string> | null = null;
  #looking = false;
  /** Looks of the last second. */
  #looks = 0;

  constructor(look: () => Promise<Findings>) {
    this.#look = look;
    this.#delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
    this.#delay.enable();
  }

  /** @returns why there is nothing to tell, when the look fails or takes too long */
  current(): Promise<Health | string> {
    if (this.#last !== null && (this.#looking || this.#looks >= LOOKS_PER_SECOND)) return this.#last;
    this.#looks++;
    setTimeout(() => this.#looks--, 1000).unref();
    this.#looking = true;
    this.#last = this.#lookOnce().finally(() => {
      this.#looking = false;
    });
    return this.#last;
  }

  close(): void {
    this.#delay.disable();
  }

  async #lookOnce(): Promise<Health | string> {
    const { promise: late, resolve } = Promise.withResolvers<string>();
    const timer = setTimeout(() => resolve(`the daemon did not answer within ${LOOK_MS / 1000} s`), LOOK_MS);
    try {
      const found = await Promise.race([this.#look(), late]);
      return typeof found === 'string' ? found : this.#health(found);
    } catch {
      // What it says may quote what it failed on.
      return 'the health check failed: see the log';
    } finally {
      clearTimeout(timer);
    }
  }

  #health({ status, policy, schemaVersion, reasons }: Findings): Health {
    const writable = policy?.writable ?? false;
    const lastWrite = policy?.lastWrite ?? null;
    return {
      status: reasons.length === 0 ? 'ok' : 'degraded',
      version: status.version,
      schemaVersion,
      database: { writable, failure: policy?.failure ?? null },
      relays: Object.fromEntries(status.relays.map(({ url, state }) => [relayName(url), state])),
      keys: status.keys,
      quarantined: status.quarantined,
      autounlock: status.autounlock,
      audit: { lastWrite: lastWrite === null ? null : new Date(lastWrite).toISOString(), writable },
      curve: status.curve,
      uptime: status.uptime,
      eventLoopDelay: this.#takeDelay(),
      reasons,
    };
  }

  #takeDelay(): Health['eventLoopDelay'] {
    // The histogram holds the time between two timers, which is its resolution when nothing is late.
    const late = (nanos: number) => Math.max(0, Math.round(nanos / 1e4 - RESOLUTION_MS * 100) / 100) || 0;
    const { mean, max } = this.#delay;
    const taken = { mean: late(mean), p99: late(this.#delay.percentile(99)), max: late(max) };
    this.#delay.reset();
    return taken;
  }
}
