/** Between the main thread and a key actor. */
import type { MessagePort } from 'node:worker_threads';
import type { Ask, MainProtocol, Tell } from '../actor/protocol.ts';
import type { CurveName } from '../curve/curve.ts';
import type { StageReport } from '../metrics/stage-times.ts';
import type { SignedEvent } from '../nip46/signed.ts';
import type { LogLine } from '../policy/protocol.ts';

/** How an event ended, for metrics; `dropped:*` were not answered. */
export type Outcome =
  | 'allowed'
  | 'denied'
  | 'failed'
  | 'invalid'
  | 'overloaded'
  | 'rate limited'
  | 'expired'
  | 'dropped: signature'
  | 'dropped: skew'
  | 'dropped: undecryptable'
  | 'dropped: not a request'
  | 'dropped: no binding'
  | 'dropped: replay'
  | 'dropped: busy';

export type KeyLimits = {
  /** s */
  maxClockSkew: number;
  /** s; how far in the future an event's created_at may lie */
  maxFutureEvent: number;
  /** requests per second and client */
  clientRate: number;
  clientBurst: number;
  /** ms */
  requestDeadline: number;
  /** bytes */
  maxContent: number;
  /** `all`: a stranger's request is refused aloud, once a minute to one pubkey. */
  answerUnknown: 'connect' | 'all' | 'none';
};

/** What a key's thread is configured with. */
export type KeySettings = {
  limits: KeyLimits;
  /** Advertised relays, sorted. */
  relays: string[];
};

/**
 * `overflow`: the key's queue is full; if it is genuine, answer `overloaded`. `stranger`: the main thread knows no
 * binding of this client; whatever is not a `connect` is answered only if the policy actor knows one.
 */
export type Lane = 'normal' | 'overflow' | 'stranger';

export type MainToKey = MainProtocol<{
  /** Somebody waits for this thread: what it still rehearses is left out. */
  hurry: Tell<null>;
  /** Makes this blank thread the actor of one key; answered when it can sign. Ports: vault (Unsealing), policy. */
  activate: Ask<
    {
      keyName: string;
      pubkey: string;
      vault: MessagePort;
      policy: MessagePort;
    } & KeySettings,
    { ok: true } | { ok: false; refusal: string }
  >;
  /**
   * Opens a key that nsecbunkerd encrypted and tells its pubkey: only this shows whether the passphrase was right.
   * `pubkey`: what it must be, empty when nobody knows. The thread is good for nothing else then, and is ended.
   */
  check: Ask<{ pubkey: string; vault: MessagePort }, { ok: true; pubkey: string } | { ok: false; refusal: string }>;
  /** A NIP-46 event as the relay sent it. `arrived`: monotonic ms. `again`: a thread that crashed had it before. */
  event: Tell<{ seq: number; raw: string; arrived: number; lane: Lane; again: boolean }>;
  /**
   * The connect response to a client that brought a nostrconnect:// URI. `secret`: the port on which the URI's secret
   * waits. Null when it cannot be made.
   */
  introduce: Ask<{ client: string; secret: MessagePort }, SignedEvent | null>;
  /** NIP-42: signed for this relay and this challenge, once that is on record; null when it is not. */
  authenticate: Ask<{ relay: string; challenge: string }, SignedEvent | null>;
  /** The configuration was read again: in force from the next request on. */
  settings: Tell<KeySettings>;
  /** The policy actor was restarted. */
  policy: Tell<{ port: MessagePort }>;
  /** Overwrites the key; the thread is ended right after. */
  wipe: Ask<null, null>;
}>;

export type KeyToMain = MainProtocol<{
  /** A blank thread has loaded its backend and is warm. */
  ready: Tell<{ curve: CurveName }>;
  /** The id and signature of this event hold: remember it as handled. */
  verified: Tell<{ seq: number; id: string }>;
  /** The end of an event: one for each `seq`. `response`: a signed event, to be published. */
  done: Tell<{ seq: number; method: string; outcome: Outcome; response: SignedEvent | null }>;
  /** What the thread has counted since it last told. */
  times: Tell<{ report: StageReport }>;
  /** This event waits for an admin's decision: it holds no place in the key's queue any more. */
  pending: Tell<{ seq: number }>;
  /** A port to the admin actor, which knows it as this key's. */
  admins: Ask<null, MessagePort>;
  log: Tell<LogLine>;
}>;
