import { type Desk, denied } from './desk.ts';
import type { Decision, RelayAuthRequest } from './protocol.ts';

/** A key may sign in to a relay of its own accord (NIP-42) once that is on record. @throws what the journal throws */
export function answerRelayAuth(desk: Desk, keyName: string, { relay, event }: RelayAuthRequest): Decision {
  const { pubkey, deletedAt } = desk.index.key(keyName);
  if (deletedAt !== null) {
    return denied(desk, { keyName, client: '', method: 'relay auth' }, 'key-deleted', 'not authorized');
  }
  desk.journal.append({
    type: 'relay auth',
    method: null,
    keyUserId: null,
    params: { keyName, key: pubkey, kind: 22242, event, relay },
  });
  return { ok: true, grant: 'relay auth' };
}
