import type { Clock } from './actor/clock.ts';
import type { Link } from './actor/link.ts';
import type { AutounlockState, DaemonStatus } from './admin/protocol.ts';
import type { Findings } from './http/health.ts';
import type { Keys } from './key/keys.ts';
import { type Metrics, type Observed, relayName } from './metrics.ts';
import type { MainToPolicy, PolicyStatus, PolicyToMain } from './policy/protocol.ts';
import type { ClientRelays } from './relay/client-relays.ts';
import type { Relays } from './relay/relays.ts';
import { version } from './version.ts';

export interface OverviewOptions {
  clock: Clock;
  /** Monotonic ms. */
  started: number;
  metrics: Metrics;
  keys(): Keys;
  relays(): Relays;
  clientRelays(): ClientRelays;
  policy(): Link<MainToPolicy, PolicyToMain>;
  curve(): string;
  schemaVersion(): number;
  /** null where keys are not unlocked at start. */
  autounlock(): AutounlockState | null;
  /** One line about keys that have no file. */
  lostKeys(): string | null;
}

/** A policy actor that takes longer than this to answer is said not to, ms. */
const HEALTH_MS = 3_000;
const STATUS_MS = 1_000;

/** What the daemon tells about itself: get_status, health and what metrics read. */
export class Overview implements Observed {
  readonly #options: OverviewOptions;

  constructor(options: OverviewOptions) {
    this.#options = options;
  }

  status(): DaemonStatus {
    const { clock, started, metrics, keys, relays, clientRelays, curve, autounlock } = this.#options;
    const { total, unlocked, locked, active, queued } = keys().counts();
    const links = relays().status();
    return {
      version,
      uptime: Math.round((clock.mono() - started) / 1000),
      keys: { total, unlocked, locked, active },
      quarantined: [...keys().all()]
        .filter(({ state }) => state === 'quarantined')
        .map(({ name, reason }) => ({ key: name, reason: reason ?? 'unknown reason' })),
      relays: links.map(({ url, state, reason, roundTripMs, reconnects }) => {
        return { url, state, reason, roundTripMs, reconnects };
      }),
      clientRelays: clientRelays().status(),
      curve: curve(),
      requests: metrics.requests(),
      latency: metrics.latency(),
      queues: { keys: queued, publish: links.reduce((sum, link) => sum + link.queued, 0) },
      threads: { ...keys().events },
      autounlock: autounlock(),
    };
  }

  /** What the policy actor knows without a write; null when it does not answer. */
  policy(): Promise<PolicyStatus | null> {
    return this.#options
      .policy()
      .ask('status', null, { timeoutMs: STATUS_MS })
      .catch(() => null);
  }

  relayCounts(): { readonly [name: string]: number } {
    return this.#options.relays().counts();
  }

  /** Everything that health looks at, the database by a real write. */
  async health(): Promise<Findings> {
    const policy = await this.#options
      .policy()
      .ask('health', null, { timeoutMs: HEALTH_MS })
      .catch(() => null);
    const status = this.status();
    const lost = this.#options.lostKeys();
    const found = [...reasons(status, policy), ...(lost === null ? [] : [lost])];
    return { status, policy, schemaVersion: this.#options.schemaVersion(), reasons: found };
  }
}

/** Why the daemon is not well, one line each. */
function reasons({ relays, quarantined, autounlock }: DaemonStatus, policy: PolicyStatus | null): string[] {
  const found: string[] = [];
  if (policy === null) found.push('the policy actor does not answer');
  else if (!policy.writable) found.push(`the audit log cannot be written: ${policy.failure ?? 'unknown reason'}`);
  if (!relays.some(({ state }) => state === 'ready')) {
    const why = relays.map(({ url, reason }) => `${relayName(url)}: ${reason ?? 'connecting'}`).join('; ');
    found.push(`no relay is ready (${why || 'none is configured'})`);
  }
  for (const { key, reason } of quarantined) found.push(`key ${key} is quarantined: ${reason}`);
  return autounlock === null ? found : [...found, ...autounlock.reasons];
}
