/** The methods of NIP-46, each one straight path: input, access, rules, work. docs/PROTOCOL.md */
import { hash, randomBytes } from 'node:crypto';
import { type Clock, unixNow } from '../actor/clock.ts';
import { type Secret, wipe } from '../actor/protocol.ts';
import type { PrivateKey } from '../curve/curve.ts';
import type { AdminDoor } from '../key/admin-door.ts';
import type { Policy } from '../key/policy-door.ts';
import type { Outcome } from '../key/protocol.ts';
import type { StageReporter } from '../metrics/stage-reporter.ts';
import type { Allowed, Asked, BoundMethod, DecideRequest, Decision, GrantedMethod } from '../policy/protocol.ts';
import { permitted } from './approval.ts';
import { labelOfMetadata } from './client-label.ts';
import type { Conversations, Peer } from './conversations.ts';
import { checkTemplate, signedEventJson } from './event.ts';
import { looksLikeRpc, type Request } from './request.ts';
import type { Given, Responses } from './responses.ts';
import { signId } from './signed.ts';

/** How a request ended: a result, an error that the client reads, or silence. */
export type Answer =
  | { outcome: 'allowed'; result: string }
  | { outcome: Exclude<Outcome, 'allowed'>; error: string }
  | { outcome: Outcome; silent: true };

/** What the methods of one key work with. */
export interface Office {
  pubkey: string;
  key: PrivateKey;
  conversations: Conversations;
  policy: Policy;
  admins: AdminDoor;
  responses: Responses;
  clock: Clock;
  limits: { maxFutureEvent: number; maxContent: number; answerUnknown: 'connect' | 'all' | 'none' };
  /** Advertised relays, sorted. */
  relays: string[];
  times: Pick<StageReporter, 'observe'>;
}

/** One request on its way. */
export interface Call {
  request: Request;
  asked: Asked;
  /** From now on it waits for an admin. */
  pending: () => void;
}

type Method = (office: Office, call: Call) => Promise<Answer>;

const HEX_KEY = /^[0-9a-f]{64}$/;
/** A byte order mark at the beginning is part of the text. */
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The methods by name; what is not here is `unknown method`. */
export const methods: ReadonlyMap<string, Method> = new Map<string, Method>([
  ['connect', connect],
  ['get_public_key', bound('get_public_key', (office) => office.pubkey)],
  ['ping', bound('ping', () => 'pong')],
  [
    'switch_relays',
    bound('switch_relays', (office, { knowsRelays }) => (knowsRelays ? 'null' : JSON.stringify(office.relays))),
  ],
  ['get_relays', bound('get_relays', (office) => JSON.stringify(readWrite(office.relays)))],
  ['sign_event', signEvent],
  ['nip44_encrypt', cipher('nip44_encrypt', 32, (peer, text, nonce) => peer.nip44.encrypt(text, nonce))],
  ['nip04_encrypt', cipher('nip04_encrypt', 16, (peer, text, iv) => peer.encryptNip04(text, iv))],
  ['nip44_decrypt', decipher('nip44_decrypt', (peer, payload, max) => peer.nip44.decrypt(payload, max))],
  ['nip04_decrypt', decipher('nip04_decrypt', (peer, payload, max) => peer.decryptNip04(payload, max))],
  ['logout', logout],
  ['disconnect', logout],
]);

/** `connect` [remote-signer pubkey (not looked at), secret?, perms?, metadata?] -> "ack" */
async function connect(office: Office, call: Call): Promise<Answer> {
  const { request, asked } = call;
  const [, secret = '', perms = '', metadata = ''] = request.params;
  const label = labelOfMetadata(metadata);
  const decision = await permitted(
    office,
    call,
    (more) => office.policy.connect({ ...asked, ...more, secret, label }),
    () => ({ method: 'connect', kind: null, param: perms, claims: label }),
  );
  if (decision.ok) return allowed('ack');
  if (decision.refusal === 'token not found' && office.limits.answerUnknown === 'none') return silent('denied');
  return refused(decision);
}

/** `logout` [] -> "ack", once the binding's session has ended. */
async function logout(office: Office, { asked }: Call): Promise<Answer> {
  const decision = await office.policy.logout(asked);
  return decision.ok ? allowed('ack') : refused(decision);
}

/** A method that a live binding is enough for. */
function bound(method: BoundMethod, result: (office: Office, allowed: Allowed) => string): Method {
  return async (office, { asked }) => {
    const decision = await office.policy.decide(question(asked, method));
    return decision.ok ? allowed(result(office, decision)) : refused(decision);
  };
}

/** `sign_event` [template JSON] -> signed event JSON; changes nothing that it was given. */
async function signEvent(office: Office, call: Call): Promise<Answer> {
  const { request, asked } = call;
  const given = office.responses.get(asked.body, office.clock.mono());
  const now = given?.createdAt ?? unixNow(office.clock);
  const template = checkTemplate(request.params[0] ?? '', {
    pubkey: office.pubkey,
    now,
    maxFuture: office.limits.maxFutureEvent,
  });
  if (!template.ok) return { outcome: 'invalid', error: template.error };
  const { event, dated } = template;

  const { kind, id: eventId } = event;
  // Without a time in the template each second makes another event of it: one that is counted and allowed by itself.
  const body = dated ? asked.body : hash('sha256', `${asked.body} ${event.created_at}`);
  const wanted = { ...question(asked, 'sign_event'), body, kind, eventId, recheck: given !== undefined };
  const decision = await permitted(
    office,
    call,
    (more) => office.policy.decide({ ...wanted, ...more }),
    () => ({ method: 'sign_event', kind, param: request.params[0]! }),
  );
  if (!decision.ok) return refused(decision);
  if (late(office, asked)) return expired();

  const begun = office.clock.mono();
  const sig = given?.sig ?? signId(office.key, event.id);
  office.times.observe('sign', office.clock.mono() - begun);
  office.responses.set(asked.body, { createdAt: event.created_at, sig }, office.clock.mono());
  return allowed(signedEventJson({ ...event, sig }));
}

/** `*_encrypt` [pubkey, text] -> ciphertext; the nonce is kept, so that a retry gets the same one. */
function cipher(
  method: 'nip44_encrypt' | 'nip04_encrypt',
  nonceBytes: number,
  encrypt: (peer: Peer, text: string, nonce: Uint8Array) => string,
): Method {
  return withPeer(method, (office, { pubkey, text, given }, keep) => {
    // What has no UTF-8 would come out as another text than went in.
    if (!text.isWellFormed()) return { outcome: 'invalid', error: 'invalid params: half of a surrogate pair' };
    const nonce = given?.nonce ?? randomBytes(nonceBytes);
    try {
      const ciphertext = encrypt(office.conversations.with(pubkey), text, nonce);
      keep({ nonce });
      return allowed(ciphertext);
    } catch {
      return { outcome: 'invalid', error: 'invalid params: this text cannot be encrypted (empty or too long)' };
    }
  });
}

/** `*_decrypt` [pubkey, ciphertext] -> text; never a message of the RPC itself (docs/POLICY.md, before any rule). */
function decipher(
  method: 'nip44_decrypt' | 'nip04_decrypt',
  decrypt: (peer: Peer, payload: string, maxBytes: number) => Secret,
): Method {
  return withPeer(method, (office, { pubkey, text: payload }, keep) => {
    let bytes: Secret | undefined;
    try {
      bytes = decrypt(office.conversations.with(pubkey), payload, office.limits.maxContent);
      const text = decoder.decode(bytes);
      if (looksLikeRpc(text)) return { outcome: 'denied', error: 'not authorized' };
      keep({});
      return allowed(text);
    } catch {
      return { outcome: 'invalid', error: `invalid params: this ciphertext cannot be decrypted with ${method}` };
    } finally {
      wipe(bytes);
    }
  });
}

/** The way to a cipher: the other key is one, the policy allows it, it is not too late. */
function withPeer(
  method: Exclude<GrantedMethod, 'sign_event'>,
  work: (
    office: Office,
    what: { pubkey: string; text: string; given: Given | undefined },
    keep: (given: Given) => void,
  ) => Answer,
): Method {
  return async (office, call) => {
    const { request, asked } = call;
    const [pubkey = '', text = ''] = request.params;
    if (!isPeer(office, pubkey)) {
      return { outcome: 'invalid', error: 'invalid params: parameter 1 is not a public key (64 hex digits)' };
    }
    const given = office.responses.get(asked.body, office.clock.mono());
    const recheck = given !== undefined;
    const wanted = { ...question(asked, method), peer: pubkey, recheck };
    const decision = await permitted(
      office,
      call,
      (more) => office.policy.decide({ ...wanted, ...more }),
      () => ({ method, kind: null, param: pubkey }),
    );
    if (!decision.ok) return refused(decision);
    if (late(office, asked)) return expired();
    const begun = office.clock.mono();
    const answer = work(office, { pubkey, text, given }, (kept) => office.responses.set(asked.body, kept, begun));
    office.times.observe('sign', office.clock.mono() - begun);
    return answer;
  };
}

function question(asked: Asked, method: DecideRequest['method']): DecideRequest {
  return { ...asked, method, kind: null, eventId: null, peer: null, recheck: false };
}

/** Across an await the peer may be evicted, so that it is looked up anew where it is used. */
function isPeer(office: Office, pubkey: string): boolean {
  if (!HEX_KEY.test(pubkey)) return false;
  try {
    office.conversations.with(pubkey);
    return true;
  } catch {
    return false;
  }
}

function late(office: Office, asked: Asked): boolean {
  return office.clock.mono() >= asked.expires;
}

function allowed(result: string): Answer {
  return { outcome: 'allowed', result };
}

function silent(outcome: Outcome): Answer {
  return { outcome, silent: true };
}

/** A request whose deadline has passed is not carried out. */
export function expired(): Answer {
  return { outcome: 'expired', error: 'request expired' };
}

/** A refusal as the client reads it; two of them are silence (docs/PROTOCOL.md). */
export function refused(decision: Extract<Decision, { ok: false }>): Answer {
  switch (decision.refusal) {
    case 'no binding':
      return silent('dropped: no binding');
    case 'replayed':
      return silent('dropped: replay');
    case 'audit log unavailable':
      return { outcome: 'failed', error: decision.refusal };
    default:
      return { outcome: 'denied', error: decision.refusal };
  }
}

function readWrite(relays: string[]): Record<string, { read: true; write: true }> {
  return Object.fromEntries(relays.map((url) => [url, { read: true, write: true }]));
}
