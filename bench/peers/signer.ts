import { randomBytes } from 'node:crypto';
import type { BoundClient } from '../load/protocol.ts';

/** A signer in a process of its own, ready for requests: one client is bound to each of its keys. */
export interface RunningSigner {
  pid: number;
  /** URL of the relay that its clients are on. */
  relay: string;
  clients: BoundClient[];
  /** Ends it in its own order, where it has one. */
  stop?(): Promise<unknown>;
  close(): Promise<void>;
}

/** hex */
export function newSecretKey(): string {
  return randomBytes(32).toString('hex');
}
