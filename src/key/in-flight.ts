import type { Incoming } from '../relay/protocol.ts';
import type { Lane } from './protocol.ts';

/** An event in a key's queue. */
export interface InFlight {
  incoming: Incoming;
  lane: Lane;
  /** How many threads have had it. */
  attempts: number;
  /** The thread of now has it. */
  isSent: boolean;
  /** It waits for an admin, not for the key. */
  pending: boolean;
}
