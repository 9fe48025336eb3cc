import type { DaemonStatus } from '../../src/admin/protocol.ts';
import type { Findings } from '../../src/http/health.ts';
import type { Observed } from '../../src/metrics.ts';

export const status: DaemonStatus = {
  version: '1.2.3',
  uptime: 61,
  keys: { total: 5, unlocked: 3, locked: 2, active: 1 },
  relays: [
    { url: 'ws://127.0.0.1:4736', state: 'ready', reason: null, roundTripMs: null, reconnects: 0 },
    { url: 'wss://relay.example/?token=hunter2', state: 'degraded', reason: 'slow', roundTripMs: 250, reconnects: 3 },
  ],
  curve: 'wasm',
  requests: {},
  latency: null,
  quarantined: [{ key: 'broken', reason: 'key file is damaged' }],
  queues: { keys: 4, publish: 5 },
  threads: { activations: 9, passivations: 8, crashes: 7 },
  autounlock: { complete: false, unlocked: 3, total: 5, reasons: [] },
};

export const well: Findings = {
  status,
  policy: { writable: true, lastWrite: 1_700_000_000_123, failure: null, schemaVersion: 3, auditRows: 9, waiting: 6 },
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
  relayCounts() {
    return { published: 7, 'dropped: malformed': 2 };
  }
  async policy() {
    return well.policy;
  }
  async health(): Promise<Findings> {
    this.looks++;
    return this.look();
  }
}
