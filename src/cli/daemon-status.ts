import type { DaemonStatus } from '../admin/protocol.ts';

/** What get_status answers: the daemon, and the records as the policy actor has them. docs/ADMIN.md */
export type StatusAnswer = DaemonStatus & {
  /** null while the policy actor does not answer, as `rows` and `waiting`. */
  schemaVersion: number | null;
  audit: {
    writable: boolean;
    lastWrite: string | null;
    failure: string | null;
    rows: number | null;
    waiting: number | null;
  };
};

/** What waits where, in one line. */
export function waitingText({ queues, audit }: StatusAnswer): string {
  return `${queues.keys} for a key, ${audit.waiting ?? '-'} for a decision, ${queues.publish} for a relay`;
}

/** How long requests took, in one line; null while there were none. */
export function latencyText({ latency }: StatusAnswer): string | null {
  if (latency === null) return null;
  const quantile = (ms: number) => `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
  return `p50 ${quantile(latency.p50)}, p95 ${quantile(latency.p95)}, p99 ${quantile(latency.p99)}`;
}
