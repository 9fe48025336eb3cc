import { hash } from 'node:crypto';

/** What the chain covers of an audit row. Not its keyUserId: deleting a KeyUser sets that to null. */
export interface ChainedRow {
  /** The row's id. */
  seq: number;
  /** ms since the epoch */
  time: number;
  type: string;
  method: string | null;
  /** The JSON text, exactly as stored; the pubkeys are in it. */
  params: string | null;
}

/** What the first row of a chain follows. */
export const GENESIS = '0'.repeat(64);

/**
 * SHA-256, hex, over the hash of the row before and this row's fields. Each field is preceded by its length in bytes,
 * so that no two rows share one encoding; a null is `-`, which no length is.
 */
export function chainHash(previous: string, row: ChainedRow): string {
  const text =
    field(previous) +
    field(String(row.seq)) +
    field(String(row.time)) +
    field(row.type) +
    field(row.method) +
    field(row.params);
  return hash('sha256', text, 'hex');
}

function field(value: string | null): string {
  return value === null ? '-;' : `${Buffer.byteLength(value)}:${value};`;
}
