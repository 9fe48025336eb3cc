import { randomBytes } from 'node:crypto';
import type { MessagePort } from 'node:worker_threads';
import { type Clock, unixNow } from '../actor/clock.ts';
import type { Link } from '../actor/link.ts';
import type { Secret } from '../actor/protocol.ts';
import { TransientMap } from '../actor/transient-map.ts';
import type { Curve, PrivateKey } from '../curve/curve.ts';
import type { StageReporter } from '../metrics/stage-reporter.ts';
import { Envelope, type Opened } from '../nip46/envelope.ts';
import { Handled } from '../nip46/handled.ts';
import { type Answer, type Call, expired, methods, type Office, refused } from '../nip46/methods.ts';
import { relayAuth } from '../nip46/relay-auth.ts';
import { type BadRequest, errorResponse, parseRequest, type Request, successResponse } from '../nip46/request.ts';
import { Responses } from '../nip46/responses.ts';
import type { SignedEvent } from '../nip46/signed.ts';
import type { Asked } from '../policy/protocol.ts';
import { AdminDoor } from './admin-door.ts';
import type { Policy } from './policy-door.ts';
import type { KeyLimits, KeySettings, KeyToMain, Lane, MainToKey, Outcome } from './protocol.ts';
import { ClientRates } from './rate.ts';

/** What the actor needs of its link to the main thread. */
export type ToMain = Pick<Link<KeyToMain, MainToKey>, 'tell' | 'tellSoon' | 'ask'>;

interface Arrived {
  seq: number;
  raw: string;
  /** monotonic ms */
  arrived: number;
  lane: Lane;
  again: boolean;
}

/** How long putting an authentication on record may take, ms. */
const RELAY_AUTH_MS = 5_000;

/**
 * The actor of one key: the only place where its private key is plain. One event goes through `handle` from top to
 * bottom: shape, clock, replay, signature, decryption, request, access, work, response.
 */
export class KeyActor {
  readonly #main: ToMain;
  readonly #envelope: Envelope;
  readonly #office: Office;
  /** One object with the envelope's and the office's: `change` writes into it. */
  readonly #limits: KeyLimits;
  readonly #clock: Clock;
  readonly #times: StageReporter;
  #rates: ClientRates;
  readonly #complaints: ClientRates;
  /** At most one answer a minute to a stranger. */
  readonly #strangers = new ClientRates(1 / 60, 1);
  readonly #handled = new Handled(randomBytes(4).readUInt32LE());
  /** Bodies being carried out now: a retry that overtakes its first try waits for it. */
  readonly #inWork = new TransientMap<string, Promise<Answer>>();

  constructor(
    main: ToMain,
    curve: Curve,
    key: PrivateKey,
    replayKey: Secret,
    policy: Policy,
    settings: KeySettings,
    clock: Clock,
    times: StageReporter,
  ) {
    this.#main = main;
    this.#limits = { ...settings.limits };
    this.#clock = clock;
    this.#times = times;
    this.#envelope = new Envelope(curve, key, replayKey, this.#limits, clock);
    this.#rates = new ClientRates(settings.limits.clientRate, settings.limits.clientBurst);
    this.#complaints = new ClientRates(5, 10);
    this.#office = {
      pubkey: this.#envelope.pubkey,
      key,
      conversations: this.#envelope.conversations,
      policy,
      admins: new AdminDoor(main, clock),
      responses: new Responses(2 * settings.limits.maxClockSkew * 1000),
      clock,
      limits: this.#limits,
      relays: settings.relays,
      times,
    };
  }

  setPolicy(port: MessagePort): void {
    this.#office.policy.attach(port);
  }

  /** The response that tells a client who brought a nostrconnect:// URI that this key is its signer. */
  introduce(client: string, secret: string): SignedEvent | null {
    try {
      const text = successResponse(randomBytes(8).toString('hex'), secret);
      return this.#envelope.seal({ event: { pubkey: client }, encryption: 'nip44' }, text);
    } catch {
      // Its public key is no point of the curve.
      return null;
    }
  }

  /** NIP-42: for this relay and this challenge only; on record before it leaves. */
  async authenticate(relay: string, challenge: string): Promise<SignedEvent | null> {
    const { pubkey, key, policy, clock } = this.#office;
    const auth = relayAuth(pubkey, relay, challenge, unixNow(clock));
    if (auth === null) return null;
    const decision = await policy.relayAuth({ relay, event: auth.id, expires: clock.mono() + RELAY_AUTH_MS });
    return decision.ok ? auth.sign(key) : null;
  }

  /** Limits and relays from the next request on; what clients have used of their rates starts anew if those changed. */
  change({ limits, relays }: KeySettings): void {
    const { clientRate, clientBurst } = this.#limits;
    if (limits.clientRate !== clientRate || limits.clientBurst !== clientBurst) {
      this.#rates = new ClientRates(limits.clientRate, limits.clientBurst);
    }
    Object.assign(this.#limits, limits);
    this.#office.relays = relays;
  }

  wipe(): void {
    this.#office.responses.clear();
    this.#envelope.wipe();
  }

  async handle({ seq, raw, arrived, lane, again }: Arrived): Promise<void> {
    const event = this.#envelope.read(raw);
    if (typeof event === 'string') return this.#done(seq, '', event);
    if (this.#handled.has(event.id)) return this.#done(seq, '', 'dropped: replay');
    const begun = this.#clock.mono();
    if (!this.#envelope.verify(event)) return this.#done(seq, '', 'dropped: signature');
    const verified = this.#clock.mono();
    this.#times.observe('verify', verified - begun);
    this.#handled.add(event.id);
    this.#main.tellSoon('verified', { seq, id: event.id });

    const opened = this.#envelope.open(event);
    this.#times.observe('decrypt', this.#clock.mono() - verified);
    if (typeof opened === 'string') return this.#done(seq, '', opened);
    const request = parseRequest(opened.text);
    if (request === null) return this.#done(seq, '', 'dropped: not a request');
    const asked: Asked = {
      client: event.pubkey,
      requestId: request.id,
      envelope: event.id,
      body: opened.body,
      expires: arrived + this.#limits.requestDeadline,
      ...(again ? { again } : {}),
    };
    const answer =
      this.#admit(asked, lane) ?? (await this.#once(request, asked, lane, () => this.#main.tell('pending', { seq })));
    this.#reply(seq, opened, request, answer);
  }

  /** What is over a limit is answered, but not without end: each answer costs a signature. */
  #admit(asked: Asked, lane: Lane): Answer | null {
    const now = this.#clock.mono();
    const over =
      lane === 'overflow' ? 'overloaded' : this.#rates.take(asked.client, now) ? null : ('rate limited' as const);
    if (over === null && now < asked.expires) return null;
    // A stranger that comes too late is not looked up any more, and reads no error.
    if (over === null) return lane === 'stranger' ? { outcome: 'expired', silent: true } : expired();
    if (!this.#complaints.take(asked.client, now)) return { outcome: 'dropped: busy', silent: true };
    return { outcome: over, error: over };
  }

  /**
   * Carries a request out. The same body that is in work already is waited for, which takes no place in the key's queue;
   * when it was denied, so are its copies (an admin is not asked once for each), else they are answered as retries.
   */
  async #once(request: Request | BadRequest, asked: Asked, lane: Lane, pending: () => void): Promise<Answer> {
    for (let first = this.#inWork.get(asked.body); first !== undefined; first = this.#inWork.get(asked.body)) {
      pending();
      const answer = await first;
      if (answer.outcome === 'denied') return answer;
    }
    const work = this.#carryOut({ request, asked, pending }, lane);
    this.#inWork.set(asked.body, work);
    try {
      return await work;
    } finally {
      this.#inWork.delete(asked.body);
    }
  }

  async #carryOut(call: Omit<Call, 'request'> & { request: Request | BadRequest }, lane: Lane): Promise<Answer> {
    const { request, asked } = call;
    const method = methods.get(request.method);
    const isBad = 'error' in request;
    // A stranger reads no error, not even that a method is unknown: another signer may hold this key.
    const connects = request.method === 'connect' && !(isBad && this.#limits.answerUnknown === 'none');
    if (!connects && (isBad || method === undefined || lane === 'stranger')) {
      const ping = { ...asked, method: 'ping' as const, kind: null, eventId: null, peer: null, recheck: true };
      const decision = await this.#office.policy.decide(ping);
      if (!decision.ok) return this.#refuseStranger(asked, refused(decision));
    }
    if (isBad) return { outcome: 'invalid', error: request.error };
    if (method === undefined) return { outcome: 'invalid', error: `unknown method ${request.method.slice(0, 64)}` };
    return method(this.#office, { ...call, request });
  }

  #refuseStranger(asked: Asked, answer: Answer): Answer {
    if (answer.outcome !== 'dropped: no binding' || this.#limits.answerUnknown !== 'all') return answer;
    return this.#strangers.take(asked.client, this.#clock.mono())
      ? { outcome: 'denied', error: 'not authorized' }
      : answer;
  }

  #reply(seq: number, opened: Opened, request: { id: string; method: string }, answer: Answer): void {
    const method = methods.has(request.method) ? request.method : 'other';
    if ('silent' in answer) return this.#done(seq, method, answer.outcome);
    const text =
      'error' in answer ? errorResponse(request.id, answer.error) : successResponse(request.id, answer.result);
    const begun = this.#clock.mono();
    const response = this.#envelope.seal(opened, text);
    this.#times.observe('seal', this.#clock.mono() - begun);
    this.#main.tell('done', { seq, method, outcome: answer.outcome, response });
  }

  #done(seq: number, method: string, outcome: Outcome): void {
    this.#main.tell('done', { seq, method, outcome, response: null });
  }
}
