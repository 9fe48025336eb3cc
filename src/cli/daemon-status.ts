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
