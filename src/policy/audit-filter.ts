import type { AuditFilter, LoggedRow } from './protocol.ts';

/** What a Date can hold. */
const LAST_DATE_MS = 8.64e15;

/** Whether a row of the audit log is about this key and this client, and not older. */
export function matchesAudit(row: LoggedRow, { key, client, since }: Omit<AuditFilter, 'offset' | 'limit'>): boolean {
  if (since !== null && row.timestamp < since) return false;
  if (key === null && client === null) return true;
  // A cheap look first: most rows are about others.
  if (client !== null && row.params?.includes(client) !== true) return false;
  const params = auditParams(row);
  if (typeof params !== 'object' || params === null) return false;
  if (client !== null && params.client !== client) return false;
  return key === null || params.keyName === key || (row.type === 'admin' && params.target === key);
}

/** What a row says beyond its columns; text that is not JSON, as an older program may have left, comes as it is. */
export function auditParams({ params }: LoggedRow): { [name: string]: unknown } | string | null {
  if (params === null) return null;
  try {
    const read = JSON.parse(params);
    return typeof read === 'object' ? read : params;
  } catch {
    return params;
  }
}

/** A row as admins and exports see it. */
export interface AuditEntry {
  id: number;
  /** ISO 8601 */
  timestamp: string | null;
  type: string;
  method: string | null;
  keyUserId: number | null;
  params: ReturnType<typeof auditParams>;
  hash: string | null;
}

export function auditEntry(row: LoggedRow): AuditEntry {
  const { id, timestamp, type, method, keyUserId, hash } = row;
  // A damaged date must not keep anybody from reading the rest.
  const time = Math.abs(timestamp) > LAST_DATE_MS ? null : new Date(timestamp).toISOString();
  return { id, timestamp: time, type, method, keyUserId, params: auditParams(row), hash };
}
