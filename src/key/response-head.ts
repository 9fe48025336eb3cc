import type { SignedEvent } from '../nip46/signed.ts';
import type { EventHead, Incoming } from '../relay/protocol.ts';

/** What routing needs to know of a key's response to a request. @param pubkey of the key, hex */
export function responseHead(pubkey: string, request: Incoming, { id, createdAt }: SignedEvent): EventHead {
  return { id, pubkey, kind: request.head.kind, created_at: createdAt, p: request.head.pubkey };
}
