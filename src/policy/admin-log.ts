import type { Desk } from './desk.ts';
import type { Outcome } from './protocol.ts';

/** Longer texts are cut: what an admin sends must not fill the log. */
const LONGEST = 500;

/** Before an admin's event is carried out: the row is also what later knows it as a replay. */
export function beginAdmin(
  desk: Desk,
  wanted: { admin: string; event: string; method: string; target: string; createdAt: number },
): Outcome<null> {
  if (desk.replay.knowsEnvelope(wanted.event)) return { ok: false, refusal: 'replayed' };
  const { admin, event, method, createdAt } = wanted;
  desk.journal.append({
    type: 'admin',
    method: cut(method),
    keyUserId: null,
    params: { phase: 'begin', admin, event, target: cut(wanted.target), createdAt },
  });
  desk.replay.stage({ envelope: event, body: null });
  return { ok: true, value: null };
}

export function endAdmin(
  desk: Desk,
  wanted: { admin: string; event: string; method: string; target: string; outcome: string },
): Outcome<null> {
  const { admin, event, method } = wanted;
  desk.journal.append({
    type: 'admin',
    method: cut(method),
    keyUserId: null,
    params: { phase: 'end', admin, event, target: cut(wanted.target), outcome: cut(wanted.outcome) },
  });
  return { ok: true, value: null };
}

/** Of a request that was refused nothing was carried out, and its event is not remembered. */
export function refusedAdmin(
  desk: Desk,
  {
    method,
    sender,
    event,
    genuine,
    reason,
  }: { sender: string; event: string; genuine: boolean; method: string | null; reason: string },
): Outcome<null> {
  const params = { phase: 'refused', sender, event, genuine, reason };
  desk.journal.append({ type: 'admin', method, keyUserId: null, params });
  return { ok: true, value: null };
}

function cut(text: string): string {
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}
