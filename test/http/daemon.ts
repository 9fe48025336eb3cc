import type { DaemonStatus } from '../../src/admin/protocol.ts';
import type { Findings } from '../../src/http/health.ts';
import type { Observed } from '../../src/metrics.ts';

export const status: DaemonStatus = {
  version: '1.2.3',
  uptime: 61,
  keys: { total: 5, unlocked: 3, locked: 2, active: 1 },
  relays: [
    { url: 'ws://127.0.0.1:4736', state: 'ready', roundTripMs: null },
    { url: 'wss://relay.example/?token=hunter2', state: 'degraded', roundTripMs: 250 },
  ],
  curve: 'wasm',
  requests: {},
  latency: null,
};

export const well: Findings = {
  status,
  policy: { writable: true, lastWrite: 1_700_000_000_123, failure: null, schemaVersion: 3, auditRows: 9 },
  schemaVersion: 3,
  reasons: [],
};

/** What the HTTP server sees of the daemon; `look` may be changed. */
export class ObservedDaemon implements Observed {
  look: () => Promise<Findings> = async () => well;
  looks = 0;

  status(): DaemonStatus {
    return status;
  }
  gauges() {
    return { queued: 4, relayCounts: { published: 7, 'dropped: malformed': 2 } };
  }
  async health(): Promise<Findings> {
    this.looks++;
    return this.look();
  }
}
