import { bytesToHex } from '@noble/hashes/utils.js';
import type { Desk } from './desk.ts';
import type { Introduced, Introduction } from './introduced.ts';
import type { Outcome } from './protocol.ts';

/** Bytes of the token's secret, which nobody is told: the token is redeemed from the start. */
const SECRET_BYTES = 32;

/**
 * Binds a client that brought a nostrconnect:// URI: token, binding and relays in one transaction, with their audit row.
 * The token makes its grants like any other's: evaluated at every request, and revocable. A client that holds a live
 * one of the same policy without end needs no second one. @throws what the journal throws
 */
export function introduceClient(
  desk: Desk,
  random: (bytes: number) => Uint8Array,
  wanted: Introduced,
): Outcome<Introduction> {
  const { keyName, client, policyId } = wanted;
  const now = desk.clock.now();
  const key = desk.index.key(keyName);
  if (key.pubkey === null) return { ok: false, refusal: `no key named "${keyName}": get_keys lists them` };
  if (key.deletedAt !== null) return { ok: false, refusal: `key ${keyName} was deleted` };
  const policy = desk.index.policy(policyId);
  if (policy === null || policy.deletedAt !== null) {
    return { ok: false, refusal: `no policy ${policyId}: get_policies lists them` };
  }
  if (desk.index.expired(`policy:${policyId}`, policy.expiresAt, now)) {
    return { ok: false, refusal: `policy ${policyId} has expired` };
  }

  const before = desk.index.binding(keyName, client);
  if (before !== null && before.revokedAt !== null && before.revokedAt >= wanted.askedAt) {
    return {
      ok: false,
      refusal: 'the client was revoked after this request was made: ask again if it is to be connected',
    };
  }

  desk.journal.begin();
  const wasBound = before !== null && before.revokedAt === null;
  // What was granted before a revocation stays dead, as with any fresh token.
  if (before !== null && !wasBound) desk.writes.revoke({ keyUserId: before.keyUserId, now });
  const relaysBefore = before === null ? null : desk.lookups.relays(before.keyUserId);
  const keyUserId = desk.writes.bind({ keyName, client, description: wanted.label, now });
  const held = wasBound && before.tokens.some((token) => token.policyId === policyId && isForEver(token));
  const tokenId = held ? null : newToken(desk, random, wanted, { keyUserId, now });
  desk.writes.setRelays({ keyUserId, relays: JSON.stringify(wanted.relays), now });
  desk.journal.append({
    type: 'connect',
    method: 'connect_client',
    keyUserId,
    params: { keyName, key: key.pubkey, client, grant: tokenId === null ? 'binding' : `token:${tokenId}` },
  });
  desk.index.forgetBinding(keyName, client);
  desk.journal.afterCommit(() => {
    desk.bound(keyName, client);
    desk.clientRelaysChanged(true);
  });
  return { ok: true, value: { keyName, client, keyUserId, tokenId, wasBound, relaysBefore } };
}

/** Takes back what an introduction has changed: a client that was bound before stays so. */
export function forgetClient(desk: Desk, introduction: Introduction): Outcome<null> {
  const { keyName, client, keyUserId, tokenId, wasBound, relaysBefore } = introduction;
  const now = desk.clock.now();
  desk.journal.begin();
  if (tokenId !== null) desk.writes.revokeToken({ id: tokenId, now });
  if (!wasBound) desk.writes.revoke({ keyUserId, now });
  desk.writes.setRelays({ keyUserId, relays: relaysBefore, now });
  desk.index.forgetBinding(keyName, client);
  desk.journal.afterCommit(() => desk.clientRelaysChanged());
  return { ok: true, value: null };
}

function newToken(
  desk: Desk,
  random: (bytes: number) => Uint8Array,
  { keyName, label, createdBy, policyId }: Introduced,
  { keyUserId, now }: { keyUserId: number; now: number },
): number {
  const secret = bytesToHex(random(SECRET_BYTES));
  const id = desk.writes.invite({ keyName, secret, clientName: label, createdBy, policyId, now });
  desk.writes.redeem({ id, keyUserId, now });
  return id;
}

function isForEver(token: { deletedAt: number | null; expiresAt: number | null }): boolean {
  return token.deletedAt === null && token.expiresAt === null;
}
