import type { MessagePort } from 'node:worker_threads';
import type { Clock } from '../actor/clock.ts';
import type { Link } from '../actor/link.ts';
import type { Secret } from '../actor/protocol.ts';
import type { Curve, PrivateKey } from '../curve/curve.ts';
import { Envelope, type Opened } from '../nip46/envelope.ts';
import { type Answer, expired, methods, type Office, refused } from '../nip46/methods.ts';
import { errorResponse, parseRequest, type Request, successResponse } from '../nip46/request.ts';
import { Responses } from '../nip46/responses.ts';
import type { Asked } from '../policy/protocol.ts';
import type { Policy } from './policy-door.ts';
import type { KeyLimits, KeyToMain, Lane, MainToKey, Outcome } from './protocol.ts';
import { ClientRates } from './rate.ts';

/** What the actor needs of its link to the main thread. */
export type ToMain = Pick<Link<KeyToMain, MainToKey>, 'tell' | 'tellSoon'>;

interface Arrived {
  seq: number;
  raw: string;
  /** monotonic ms */
  arrived: number;
  lane: Lane;
  again: boolean;
}

/** Ids handled by this thread; the policy actor's memory behind it is the long one. */
const HANDLED = 8192;

/**
 * The actor of one key: the only place where its private key is plain. One event goes through `handle` from top to
 * bottom: shape, clock, replay, signature, decryption, request, access, work, response.
 */
export class KeyActor {
  readonly #main: ToMain;
  readonly #envelope: Envelope;
  readonly #office: Office;
  readonly #limits: KeyLimits;
  readonly #clock: Clock;
  readonly #rates: ClientRates;
  readonly #complaints: ClientRates;
  /** At most one answer a minute to a stranger. */
  readonly #strangers = new ClientRates(1 / 60, 1);
  readonly #handled = new Set<string>();
  /** Bodies being carried out now: a retry that overtakes its first try waits for it. */
  readonly #inWork = new Map<string, Promise<Answer>>();

  constructor(
    main: ToMain,
    curve: Curve,
    key: PrivateKey,
    replayKey: Secret,
    policy: Policy,
    settings: { limits: KeyLimits; relays: string[] },
    clock: Clock,
  ) {
    this.#main = main;
    this.#limits = settings.limits;
    this.#clock = clock;
    this.#envelope = new Envelope(curve, key, replayKey, settings.limits, clock);
    this.#rates = new ClientRates(settings.limits.clientRate, settings.limits.clientBurst);
    this.#complaints = new ClientRates(5, 10);
    this.#office = {
      pubkey: this.#envelope.pubkey,
      key,
      conversations: this.#envelope.conversations,
      policy,
      responses: new Responses(2 * settings.limits.maxClockSkew * 1000),
      clock,
      limits: settings.limits,
      relays: settings.relays,
    };
  }

  setPolicy(port: MessagePort): void {
    this.#office.policy.attach(port);
  }

  wipe(): void {
    this.#office.responses.clear();
    this.#envelope.wipe();
  }

  async handle({ seq, raw, arrived, lane, again }: Arrived): Promise<void> {
    const event = this.#envelope.read(raw);
    if (typeof event === 'string') return this.#done(seq, '', event);
    if (this.#handled.has(event.id)) return this.#done(seq, '', 'dropped: replay');
    if (!this.#envelope.verify(event)) return this.#done(seq, '', 'dropped: signature');
    this.#remember(event.id);
    this.#main.tellSoon('verified', { seq, id: event.id });

    const opened = this.#envelope.open(event);
    if (typeof opened === 'string') return this.#done(seq, '', opened);
    const request = parseRequest(opened.text);
    if (request === null) return this.#done(seq, '', 'dropped: not a request');
    if ('error' in request) return this.#reply(seq, opened, request, { outcome: 'invalid', error: request.error });

    const asked: Asked = {
      client: event.pubkey,
      requestId: request.id,
      envelope: event.id,
      body: opened.body,
      expires: arrived + this.#limits.requestDeadline,
      ...(again ? { again } : {}),
    };
    const answer = this.#admit(asked, lane) ?? (await this.#once(request, asked, lane));
    this.#reply(seq, opened, request, answer);
  }

  /** What is over a limit is answered, but not without end: each answer costs a signature. */
  #admit(asked: Asked, lane: Lane): Answer | null {
    const now = this.#clock.mono();
    const over =
      lane === 'overflow' ? 'overloaded' : this.#rates.take(asked.client, now) ? null : ('rate limited' as const);
    if (over === null) return now >= asked.expires ? expired() : null;
    if (!this.#complaints.take(asked.client, now)) return { outcome: 'dropped: busy', silent: true };
    return { outcome: over, error: over };
  }

  /** Carries a request out; the same body that is in work already is waited for, and then answered as a retry. */
  async #once(request: Request, asked: Asked, lane: Lane): Promise<Answer> {
    for (let first = this.#inWork.get(asked.body); first !== undefined; first = this.#inWork.get(asked.body)) {
      await first;
    }
    const work = this.#carryOut(request, asked, lane);
    this.#inWork.set(asked.body, work);
    try {
      return await work;
    } finally {
      this.#inWork.delete(asked.body);
    }
  }

  async #carryOut(request: Request, asked: Asked, lane: Lane): Promise<Answer> {
    const method = methods.get(request.method);
    // A stranger reads no error, not even that a method is unknown: another signer may hold this key.
    const needsBinding = method === undefined || (lane === 'stranger' && request.method !== 'connect');
    if (needsBinding) {
      const ping = { ...asked, method: 'ping' as const, kind: null, eventId: null, peer: null, recheck: true };
      const decision = await this.#office.policy.decide(ping);
      if (!decision.ok) return this.#refuseStranger(asked, refused(decision));
    }
    if (method === undefined) return { outcome: 'invalid', error: `unknown method ${request.method.slice(0, 64)}` };
    return method(this.#office, { request, asked });
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
    const response = this.#envelope.seal(opened, text);
    this.#main.tell('done', { seq, method, outcome: answer.outcome, response });
  }

  #done(seq: number, method: string, outcome: Outcome): void {
    this.#main.tell('done', { seq, method, outcome, response: null });
  }

  #remember(id: string): void {
    this.#handled.add(id);
    if (this.#handled.size > HANDLED) this.#handled.delete(this.#handled.keys().next().value!);
  }
}
