import type { PrivateKey } from '../curve/curve.ts';
import { MAX_CHALLENGE } from '../relay/challenge.ts';
import { relayUrl } from '../relay/url.ts';
import { eventId, signedEventJson } from './event.ts';
import { type SignedEvent, signId } from './signed.ts';

/** NIP-42's kind. */
const RELAY_AUTH_KIND = 22_242;
const MAX_URL = 1024;

/** NIP-42's event for one relay and one of its challenges, on its way to be signed. */
export interface RelayAuth {
  id: string;
  sign(key: PrivateKey): SignedEvent;
}

/** Null for what is no relay's URL or no challenge that is signed. @param createdAt s */
export function relayAuth(pubkey: string, relay: string, challenge: string, createdAt: number): RelayAuth | null {
  if (relay.length > MAX_URL || relayUrl(relay) !== relay) return null;
  if (challenge === '' || Buffer.byteLength(challenge) > MAX_CHALLENGE || !challenge.isWellFormed()) return null;
  const tags = [
    ['relay', relay],
    ['challenge', challenge],
  ];
  const event = { pubkey, created_at: createdAt, kind: RELAY_AUTH_KIND, tags, content: '' };
  const id = eventId(pubkey, createdAt, RELAY_AUTH_KIND, tags, '');
  return {
    id,
    sign(key) {
      const sig = signId(key, id);
      return { id, createdAt, raw: signedEventJson({ ...event, id, sig }) };
    },
  };
}
