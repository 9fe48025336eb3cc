import { recordRequest } from './audit.ts';
import { decide } from './decide.ts';
import { askFirst, type Desk, denied, surroundings } from './desk.ts';
import type { Asked, DecideRequest, Decision } from './protocol.ts';

/**
 * Answers one request of a key's client. What uses the key is written down in the open transaction and may be answered
 * only when that is durable. @throws what the journal throws; nothing of it holds then.
 */
export function answerRequest(desk: Desk, keyName: string, request: DecideRequest): Decision {
  const { client, method } = request;
  const handled = desk.replay.knowsEnvelope(request.envelope);
  if (handled && request.again !== true) return denied(desk, { keyName, client, method }, 'replay', 'replayed');
  const retry = handled || desk.replay.knowsBody(request.body);
  const binding = desk.index.binding(keyName, client);
  const verdict = decide(
    { client, method, kind: request.kind, peer: request.peer, counted: retry || request.recheck },
    { key: desk.index.key(keyName), binding },
    surroundings(desk, keyName),
  );
  const open = verdict.rule === 'nothing-answers';
  const admin = open ? desk.passes.admin(request, { keyName, client, method, kind: request.kind }) : null;
  if (!verdict.ok && admin === null) {
    if (open && request.final !== true)
      return askFirst({ label: desk.lookups.label(binding!.keyUserId), stranger: false });
    return denied(desk, { keyName, client, method }, verdict.rule, verdict.refusal);
  }
  const allowed = { ok: true as const, grant: verdict.ok ? verdict.grant : `admin:${admin}` };
  const { keyUserId } = binding!;
  if (verdict.rule === 'bound-method') {
    desk.journal.touch(keyUserId);
    const knowsRelays = method === 'switch_relays' && desk.advertised.knows(keyUserId, request.body);
    return knowsRelays ? { ...allowed, knowsRelays } : allowed;
  }
  // Recorded already: the key actor holds the response, or lost the answer with the policy actor before.
  if (request.recheck || handled) return allowed;
  desk.journal.begin();
  if (verdict.ok && verdict.charge !== null) desk.journal.charge(verdict.charge);
  if (admin !== null) desk.journal.ifTakenBack(desk.passes.use(request));
  recordRequest(desk, {
    type: 'request',
    keyName,
    asked: request,
    method,
    kind: request.kind,
    eventId: request.eventId,
    grant: allowed.grant,
    keyUserId,
    retry,
  });
  return allowed;
}

/** The client ends its binding: in force at the next decision, of this batch too. */
export function answerLogout(desk: Desk, keyName: string, request: Asked): Decision {
  const { client } = request;
  const handled = desk.replay.knowsEnvelope(request.envelope);
  if (handled) {
    if (request.again === true) return { ok: true, grant: 'binding' };
    return denied(desk, { keyName, client, method: 'logout' }, 'replay', 'replayed');
  }
  const binding = desk.index.binding(keyName, client);
  const deny = (rule: 'key-deleted' | 'no-binding' | 'revoked', refusal: 'not authorized' | 'no binding' | 'revoked') =>
    denied(desk, { keyName, client, method: 'logout' }, rule, refusal);
  if (desk.index.key(keyName).deletedAt !== null) return deny('key-deleted', 'not authorized');
  if (binding === null) return deny('no-binding', 'no binding');
  if (binding.revokedAt !== null) return deny('revoked', 'revoked');
  const { keyUserId } = binding;
  desk.journal.begin();
  desk.writes.revoke({ keyUserId, now: desk.clock.now() });
  recordRequest(desk, {
    type: 'logout',
    keyName,
    asked: request,
    method: 'logout',
    kind: null,
    eventId: null,
    grant: 'binding',
    keyUserId,
    retry: false,
  });
  desk.index.forgetBinding(keyName, client);
  desk.journal.afterCommit(() => desk.clientRelaysChanged());
  return { ok: true, grant: 'binding' };
}
