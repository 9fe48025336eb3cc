import { type Clock, unixNow } from '../actor/clock.ts';
import { ActorError, asSecret, type Body, type Secret, wipe } from '../actor/protocol.ts';
import { type Encryption, encryptionOf } from '../nip46/conversations.ts';
import type { NostrEvent } from '../nip46/event.ts';
import { Handled } from '../nip46/handled.ts';
import type { LogLine, Outcome } from '../policy/protocol.ts';
import { type Answer, answerText, longestAnswer } from './answer.ts';
import { Answered } from './answered.ts';
import type { Pending } from './approvals.ts';
import { readDecision } from './decision.ts';
import type { Desk } from './desk.ts';
import { type Entry, Journal } from './journal.ts';
import { methods } from './methods/index.ts';
import type { Call, Method, Prepared } from './methods/method.ts';
import {
  type AdminRequest,
  type AdminResponse,
  readRequest,
  readResponse,
  requestFingerprint,
  wipeRequest,
} from './params.ts';
import type { MainToAdmin } from './protocol.ts';
import { Refused, type RefusedBecause } from './refused.ts';
import { Strangers } from './strangers.ts';
import type { Transport } from './transport.ts';

const NOT_AN_ADMIN = 'You are not designated to administrate this bunker';
/** Requests in work or waiting at once; an admin who sends more is told so. */
const MOST_IN_WORK = 512;
/** Answers that are kept. Those of changes have a place of their own: a second reading is no harm, a second change is. */
const READ_ANSWERS = 1_000;
const CHANGE_ANSWERS = 5_000;

/** A request whose parameters have been read. */
interface Job extends Entry {
  does: Method;
  prepared: Prepared;
}

type Arrival = Pick<Call, 'mark' | 'arrivedAt'>;

/** Takes admin events in, one straight path each: shape, clock, sender, signature, request, parameters, work, answer. */
export class Requests {
  readonly #desk: Desk;
  readonly #transport: Transport;
  readonly #journal: Journal;
  readonly #strangers: Strangers;
  readonly #refused: Refused;
  readonly #read: Answered;
  readonly #changed: Answered;
  readonly #fingerprintKey: Secret;
  /** By this thread; the policy actor remembers for longer what changed something. */
  readonly #handled: Handled;
  /** In which encryption each admin wrote last: what we begin ourselves is in the older one else. */
  readonly #encryptions = new Map<string, Encryption>();
  /** s */
  readonly #started: number;
  #inWork = 0;
  #closed = false;

  /** @param random fresh unpredictable bytes */
  constructor(desk: Desk, transport: Transport, clock: Clock, random: (size: number) => Uint8Array) {
    this.#desk = desk;
    this.#transport = transport;
    this.#journal = new Journal(desk.policy);
    this.#strangers = new Strangers(clock);
    this.#refused = new Refused(desk.policy, clock);
    this.#read = new Answered(clock, READ_ANSWERS);
    this.#changed = new Answered(clock, CHANGE_ANSWERS);
    this.#fingerprintKey = asSecret(random(32));
    this.#handled = new Handled(Buffer.from(random(4)).readUInt32LE());
    this.#started = unixNow(clock);
  }

  async handle({ seq, raw, lane }: Body<MainToAdmin, 'event'>): Promise<void> {
    const { settings } = this.#desk;
    const event = this.#genuine(raw, lane);
    this.#desk.main.tell('verdict', { seq, ok: event !== null });
    if (event === null) return;
    // As a rule another relay's copy.
    if (this.#handled.has(event.id)) return void this.#drop('handled before');
    this.#handled.add(event.id);

    const isAdmin = settings.admins.includes(event.pubkey);
    const plaintext = this.#transport.decrypt(event, settings);
    if (plaintext === null) return void this.#refuse(event, 'undecryptable');
    const request = readRequest(plaintext, (name) => (isAdmin ? (methods.get(name)?.secret ?? null) : null));
    const response = request === null && isAdmin ? readResponse(plaintext) : null;
    wipe(plaintext);
    if (isAdmin) this.#encryptions.set(event.pubkey, encryptionOf(event.content));
    if (response !== null) return this.#decided(event, response);
    if (request === null) return void this.#refuse(event, 'not a request');
    try {
      const answer = isAdmin ? await this.#answer(event, request) : this.#refuseStranger(event);
      if (answer !== null && !this.#closed) this.#reply(event, request, answer);
    } finally {
      wipeRequest(request);
    }
  }

  /** Shows every admin what a client asks for: one event each, under the same id. */
  ask({ id, keyName, client, method, param, description }: Pending): void {
    const asked = { keyName, remotePubkey: client, method, param, description };
    const text = JSON.stringify({ id, method: 'acl', params: [JSON.stringify(asked)] });
    for (const admin of this.#desk.settings.admins) {
      const event = this.#transport.ask(admin, text, this.#encryptions.get(admin) ?? 'nip04');
      this.#desk.main.tell('publish', { event });
    }
  }

  /** What is still in work is not answered any more: the key that would sign the answer goes next. */
  close(): void {
    this.#closed = true;
    wipe(this.#fingerprintKey);
  }

  /** The event, if it is for us and what it claims to be. One that was handled before needs no second look. */
  #genuine(raw: string, lane: 'admin' | 'stranger'): NostrEvent | null {
    const { settings } = this.#desk;
    const event = this.#transport.read(raw);
    if (event === null) return this.#drop('not an admin event');
    if (this.#handled.has(event.id)) return event;
    const isAdmin = settings.admins.includes(event.pubkey);
    const unfit = this.#transport.unfit(event, settings);
    if (unfit !== null) return this.#refuse(event, unfit, false);
    if ((lane === 'stranger' || !isAdmin) && !this.#strangers.mayLook()) return this.#drop('strangers: rate');
    return this.#transport.verify(event) ? event : this.#refuse(event, 'signature', false);
  }

  #refuseStranger(event: NostrEvent): Answer | null {
    this.#refuse(event, 'not an admin');
    return this.#strangers.mayAnswer(event.pubkey) ? { ok: false, error: NOT_AN_ADMIN } : null;
  }

  /** An admin's answer to `acl`. It is answered by nobody, and remembered like a request: it must not come twice. */
  async #decided(event: NostrEvent, { id, result }: AdminResponse): Promise<void> {
    const { approvals, queue } = this.#desk;
    const pending = approvals.get(id);
    if (pending === undefined) return void this.#drop('an answer to nothing');
    const decision = readDecision(result);
    const { keyName, method, kind, client } = pending;
    const target = `${keyName}: ${decision.verdict} ${method}${kind === null ? '' : `:${kind}`} for ${client}`;
    await queue.run(['users'], async () => {
      const entry = { event, method: 'acl', target };
      if ((await this.#journal.begin(entry)) !== 'go') return;
      const done = await approvals.decide(id, decision, event.pubkey).catch((error): Outcome<null> => {
        if (!(error instanceof ActorError)) throw error;
        return { ok: false, refusal: error.message };
      });
      if (!done.ok) this.#log('warn', 'approval: a decision could not be carried out', { id, reason: done.refusal });
      await this.#end(entry, done.ok ? 'ok' : `failed: ${done.refusal}`);
    });
  }

  /** Null for silence. */
  async #answer(event: NostrEvent, request: AdminRequest): Promise<Answer | null> {
    const does = methods.get(request.method);
    if (does === undefined) {
      this.#refuse(event, 'unknown method');
      return { ok: false, error: `Unknown method ${request.method.slice(0, 64)}` };
    }
    const prepared = does.prepare(request.params, request.secrets);
    if ('invalid' in prepared) {
      this.#refuse(event, 'invalid params', true, request.method);
      return { ok: false, error: `Invalid params: ${prepared.invalid}` };
    }

    const job = { event, method: request.method, target: prepared.target, does, prepared };
    return inOwnForm(does, await this.#once(job, requestFingerprint(this.#fingerprintKey, event.pubkey, request)));
  }

  /** The same request again gets the same answer. */
  async #once(job: Job, fingerprint: string): Promise<Answer | null> {
    const answered = job.does.changes ? this.#changed : this.#read;
    const earlier = answered.get(fingerprint);
    if (earlier !== undefined) return this.#again(job, earlier);
    if (this.#inWork >= MOST_IN_WORK && !job.does.actsFirst) {
      return { ok: false, error: 'overloaded: too many requests are in work' };
    }
    this.#inWork++;
    try {
      return await answered.keep(fingerprint, this.#carryOut(job));
    } finally {
      this.#inWork--;
    }
  }

  /** A retry is an event of its own: it is remembered too, or it could be replayed after a restart. */
  async #again(job: Job, earlier: Promise<Answer | null>): Promise<Answer | null> {
    if (!job.does.changes) return earlier;
    const begun = await this.#journal.begin(job);
    if (begun === 'replayed') return this.#refuse(job.event, 'replayed', true, job.method);
    if (begun !== 'go') return begun;
    const answer = await earlier;
    await this.#end(job, 'answered again');
    return answer;
  }

  async #carryOut(job: Job): Promise<Answer | null> {
    const { does, prepared, event } = job;
    const arrival = { mark: this.#desk.locks.mark(), arrivedAt: this.#desk.clock.now() };
    // A lock that was sent before this thread started may be a replay, which only the policy actor can tell.
    if (does.actsFirst && event.created_at >= this.#started) return this.#lockFirst(job, arrival);

    return this.#desk.queue.run(does.actsFirst ? [] : prepared.touches, async (leave) => {
      if (!does.changes) return this.#run(job, arrival, leave);
      const begun = await this.#journal.begin(job);
      if (begun === 'replayed') return this.#refuse(job.event, 'replayed', true, job.method);
      if (begun !== 'go' && !does.actsFirst) return begun;
      const answer = await this.#run(job, arrival, leave);
      await this.#end(job, outcomeOf(answer));
      return answer;
    });
  }

  /** A lock waits for nothing and is recorded afterwards: a full disk must not keep anybody from locking. */
  async #lockFirst(job: Job, arrival: Arrival): Promise<Answer | null> {
    const answer = await this.#run(job, arrival, () => {});
    if ((await this.#journal.begin(job)) === 'replayed') return this.#refuse(job.event, 'replayed', true, job.method);
    await this.#end(job, outcomeOf(answer));
    return answer;
  }

  async #run({ event, does, prepared }: Job, arrival: Arrival, leave: () => void): Promise<Answer> {
    try {
      const { pubkey: admin, created_at: createdAt } = event;
      const longest = longestAnswer(encryptionOf(event.content));
      return await prepared.run(this.#desk, { ...arrival, admin, createdAt, leave, longest, secrets: {} });
    } catch (error) {
      if (error instanceof ActorError) {
        // What was to be changed may have been: the same request is not carried out again.
        const passing = !does.changes;
        return {
          ok: false,
          error: `the daemon could not carry it out (${error.message}): look at get_status`,
          passing,
        };
      }
      this.#log('error', 'admin: a method threw', { error: error instanceof Error ? error.name : 'exception' });
      return { ok: false, error: "internal error: see the daemon's log" };
    }
  }

  async #end(job: Entry, outcome: string): Promise<void> {
    if (await this.#journal.end(job, outcome)) return;
    this.#log('error', 'admin: the outcome of a request could not be recorded', { method: job.method, outcome });
  }

  #reply(event: NostrEvent, request: AdminRequest, answer: Answer): void {
    const text = answerText(request.id, request.method, answer, encryptionOf(event.content));
    this.#desk.main.tell('publish', { event: this.#transport.seal(event, text) });
  }

  /** @param method of ours, where the request named one */
  #refuse(event: NostrEvent, reason: RefusedBecause, genuine = true, method: string | null = null): null {
    const { id, pubkey: sender } = event;
    const isAdmin = this.#desk.settings.admins.includes(sender);
    this.#refused.note({ sender, event: id, genuine, isAdmin, method, reason });
    return this.#drop(reason);
  }

  #drop(reason: string): null {
    this.#desk.main.tell('dropped', { reason });
    this.#log('debug', 'admin: an event was dropped', { reason });
    return null;
  }

  #log(level: LogLine['level'], message: string, fields: LogLine['fields']): void {
    this.#desk.main.tell('log', { level, message, fields });
  }
}

/** Clients look for a failure where the method tells it; what was not understood at all is told as for every method. */
function inOwnForm({ failed }: Method, answer: Answer | null): Answer | null {
  if (failed === undefined || answer === null || answer.ok) return answer;
  return { ...answer, result: failed(answer.error) };
}

function outcomeOf(answer: Answer): string {
  return answer.ok ? 'ok' : `failed: ${answer.error}`;
}
