import type { TokenLookup } from '../store/lookups.ts';
import { recordRequest } from './audit.ts';
import { decide } from './decide.ts';
import { askFirst, type Desk, denied, surroundings } from './desk.ts';
import { Conflict, Locked, Unwritable } from './journal.ts';
import type { ConnectRequest, Decision, Refusal } from './protocol.ts';
import type { RuleName } from './rules.ts';

/**
 * Answers `connect`: binds the client by a token's secret, or finds it bound. The token is read and redeemed in one
 * transaction, so that of any number of clients with one secret exactly one wins. @throws what the journal throws.
 */
export function answerConnect(desk: Desk, keyName: string, request: ConnectRequest): Decision {
  const { client } = request;
  const deny = (rule: RuleName, refusal: Refusal) =>
    denied(desk, { keyName, client, method: 'connect' }, rule, refusal);
  const handled = desk.replay.knowsEnvelope(request.envelope);
  if (handled && request.again !== true) return deny('replay', 'replayed');
  if (desk.index.key(keyName).deletedAt !== null) return deny('key-deleted', 'not authorized');

  const token = request.secret === '' ? null : tokenOf(desk, keyName, request.secret);
  if (token === null || token.redeemedBy === client) return reconnect(desk, keyName, request, handled);
  if (token.redeemedAt !== null) {
    recordReuse(desk, keyName, request, token);
    return deny('token-reuse', 'token already redeemed');
  }
  if (token.deletedAt !== null) return deny('token-revoked', 'token revoked');
  if (desk.index.expired(`token:${token.id}`, token.expiresAt, desk.clock.now())) {
    return deny('token-expired', 'token expired');
  }
  return redeem(desk, keyName, request, token);
}

/** A secret of another key's token is no secret of this one's. */
function tokenOf(desk: Desk, keyName: string, secret: string): TokenLookup | null {
  const token = desk.lookups.token(secret);
  return token?.keyName === keyName ? token : null;
}

function redeem(desk: Desk, keyName: string, request: ConnectRequest, token: TokenLookup): Decision {
  const { client } = request;
  const now = desk.clock.now();
  desk.journal.begin();
  // The fresh token brings a revoked client back, and nothing of what was granted before, whoever revoked it.
  const before = desk.index.binding(keyName, client);
  if (before !== null && before.revokedAt !== null) desk.writes.revoke({ keyUserId: before.keyUserId, now });
  const keyUserId = desk.writes.bind({ keyName, client, description: token.clientName || (request.label ?? ''), now });
  if (!desk.writes.redeem({ id: token.id, keyUserId, now })) throw new Conflict();
  desk.index.forgetBinding(keyName, client);
  const grant = `token:${token.id}`;
  record(desk, keyName, request, keyUserId, grant);
  desk.journal.afterCommit(() => desk.bound(keyName, client));
  return { ok: true, grant };
}

/** Without a secret, with the one that this client redeemed, or with one that nobody knows: the binding answers. */
function reconnect(desk: Desk, keyName: string, request: ConnectRequest, handled: boolean): Decision {
  const { client } = request;
  const deny = (rule: RuleName, refusal: Refusal) =>
    denied(desk, { keyName, client, method: 'connect' }, rule, refusal);
  const binding = desk.index.binding(keyName, client);
  if (binding === null)
    return request.secret === '' ? stranger(desk, keyName, request) : deny('token-unknown', 'token not found');
  const verdict = decide(
    { client, method: 'connect', kind: null, peer: null, counted: false },
    { key: desk.index.key(keyName), binding },
    surroundings(desk, keyName),
  );
  if (!verdict.ok) return deny(verdict.rule, verdict.refusal);
  if (!handled) {
    record(desk, keyName, request, binding.keyUserId, verdict.grant);
    if (request.label) desk.writes.label({ keyUserId: binding.keyUserId, label: request.label });
  }
  return { ok: true, grant: verdict.grant };
}

/** Nobody has bound this client, and it brings no secret: an admin may let it in. */
function stranger(desk: Desk, keyName: string, request: ConnectRequest): Decision {
  const { client } = request;
  const admin = desk.passes.admin(request, { keyName, client, method: 'connect', kind: null });
  if (admin === null) {
    if (desk.askForStrangers && request.final !== true) return askFirst({ label: null, stranger: true });
    return denied(desk, { keyName, client, method: 'connect' }, 'stranger', 'not authorized');
  }
  const grant = `admin:${admin}`;
  desk.journal.begin();
  const keyUserId = desk.writes.bind({ keyName, client, description: request.label || null, now: desk.clock.now() });
  desk.index.forgetBinding(keyName, client);
  record(desk, keyName, request, keyUserId, grant);
  desk.journal.ifTakenBack(desk.passes.use(request));
  desk.journal.afterCommit(() => desk.bound(keyName, client));
  return { ok: true, grant };
}

function record(desk: Desk, keyName: string, request: ConnectRequest, keyUserId: number, grant: string): void {
  recordRequest(desk, {
    type: 'connect',
    keyName,
    asked: request,
    method: 'connect',
    kind: null,
    eventId: null,
    grant,
    keyUserId,
    retry: desk.replay.knowsBody(request.body),
  });
}

/**
 * A secret that somebody else has redeemed is a sign of theft. Written if it can be; the refusal does not depend on
 * it. Nobody's requests may fill the disk, so that only some are.
 */
function recordReuse(desk: Desk, keyName: string, request: ConnectRequest, token: TokenLookup): void {
  if (!desk.reuses.allows(`${token.id}`)) return;
  try {
    desk.journal.append({
      type: 'token reuse',
      method: 'connect',
      keyUserId: null,
      params: {
        keyName,
        key: desk.index.key(keyName).pubkey,
        client: request.client,
        token: token.id,
        redeemedBy: token.redeemedBy,
        request: request.requestId,
      },
    });
  } catch (error) {
    if (!(error instanceof Locked) && !(error instanceof Unwritable)) throw error;
  }
}
