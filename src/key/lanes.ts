import type { Incoming } from '../relay/protocol.ts';
import type { InFlight } from './in-flight.ts';
import type { Lane } from './protocol.ts';

/**
 * This part of the queue's length more is kept for clients that have less than it in the queue, so that one client
 * cannot keep the others out. Strangers have a queue of their own of this length, and so have events that a full queue
 * turned away, to be answered `overloaded`; what exceeds these is dropped.
 */
const SHARE = 1 / 8;
/**
 * Events larger than LARGE may have so many characters of a key's events in flight at once, in its thread, where each
 * character becomes ten bytes on its way. For smaller ones their number is bound enough.
 */
const LARGE = 16_384;
const MOST_LARGE = 4 * 1024 * 1024;

/**
 * The lane of one more event of a key; null when there is no place for it.
 *
 * @param inFlight what the key has taken in and not finished
 * @param queued how many of those hold a place: what waits for an admin holds none
 * @param keyQueue the queue's length
 */
export function laneOf(
  { head, raw }: Pick<Incoming, 'head' | 'raw'>,
  wanted: 'normal' | 'stranger',
  inFlight: { values(): MapIterator<InFlight> },
  queued: number,
  keyQueue: number,
): Lane | null {
  if (raw.length > LARGE && raw.length + charactersOf(inFlight) > MOST_LARGE) return null;
  const share = Math.max(1, keyQueue * SHARE);
  const count = (holds: (entry: InFlight) => boolean) => {
    const held = inFlight.values().filter((entry) => !entry.pending && holds(entry));
    return held.take(share).toArray().length;
  };
  if (wanted === 'stranger') return count((entry) => entry.lane === 'stranger') < share ? 'stranger' : null;
  if (queued < keyQueue) return 'normal';
  if (queued < 2 * keyQueue && count((entry) => entry.incoming.head.pubkey === head.pubkey) < share) return 'normal';
  return count((entry) => entry.lane === 'overflow') < share ? 'overflow' : null;
}

function charactersOf(inFlight: { values(): MapIterator<InFlight> }): number {
  return inFlight.values().reduce((sum, { incoming }) => sum + incoming.raw.length, 0);
}
