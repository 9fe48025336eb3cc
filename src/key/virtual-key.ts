import { MessageChannel } from 'node:worker_threads';
import { ActorError, type Body } from '../actor/protocol.ts';
import { Restarts } from '../actor/restarts.ts';
import type { Incoming } from '../relay/protocol.ts';
import type { KeyToMain, Lane } from './protocol.ts';
import type { Surroundings } from './surroundings.ts';
import type { KeyThread } from './thread.ts';

/**
 * `locked`: only the sealed file exists. `inactive`: the vault can open it. `activating`, `active`: a thread of its
 * own holds it. `quarantined`: it crashed too often, or its file is damaged; it answers nothing, and health names it.
 */
export type KeyState = 'locked' | 'inactive' | 'activating' | 'active' | 'quarantined';

interface InFlight {
  incoming: Incoming;
  lane: Lane;
  /** How many threads have had it. */
  attempts: number;
}

/**
 * This part of the queue's length more is kept for clients that have less than it in the queue, so that one client
 * cannot keep the others out. Strangers have a queue of their own of this length, and so have events that a full queue
 * turned away, to be answered `overloaded`; what exceeds these is dropped.
 */
const SHARE = 1 / 8;
/** An event goes to a second thread when the first one crashed with it, and to no third. */
const MAX_ATTEMPTS = 2;
/** How long after its deadline an event may be unfinished before its thread is taken for hung, ms. */
const HUNG_AFTER_MS = 2_000;

/** One key as the main thread sees it: addressed by its public key whether or not a thread holds it right now. */
export class VirtualKey {
  readonly name: string;
  readonly pubkey: string;
  state: KeyState = 'locked';
  /** Why it is quarantined, in one line. */
  reason: string | null = null;
  /** Monotonic ms of the last event, for passivation by least recent use. */
  lastUsed = 0;
  readonly #around: Surroundings;
  readonly #restarts = new Restarts();
  readonly #inFlight = new Map<number, InFlight>();
  #thread: KeyThread | null = null;
  #nextSeq = 1;
  /** Monotonic ms. */
  #activeSince = 0;
  /** Counts locks: what was under way before one is over after it, even if the key was unlocked again meanwhile. */
  #locks = 0;
  #onIdle: (() => void)[] = [];
  /** Errands that wait for a thread, and how many have one. */
  #errands: ((thread: KeyThread | null) => void)[] = [];
  #errandsInWork = 0;

  constructor(name: string, pubkey: string, around: Surroundings) {
    this.name = name;
    this.pubkey = pubkey;
    this.#around = around;
  }

  get unlocked(): boolean {
    return this.state !== 'locked';
  }

  get queued(): number {
    return this.#inFlight.size;
  }

  /** The vault holds its unsealing key now. */
  unlock(): void {
    if (this.state === 'active' || this.state === 'activating') return;
    this.state = 'inactive';
    this.reason = null;
    this.#restarts.reset();
  }

  /** Ends the thread at once; what was in flight is dropped. */
  async lock(): Promise<void> {
    this.state = 'locked';
    this.#locks++;
    this.#dropAll('error: the key is locked');
    const thread = this.#thread;
    this.#thread = null;
    await thread?.end();
  }

  /** Ends the thread of an idle key; the vault can open it again. */
  async passivate(): Promise<boolean> {
    if (this.state !== 'active' || this.#inFlight.size + this.#errandsInWork > 0) return false;
    this.state = 'inactive';
    const thread = this.#thread;
    this.#thread = null;
    await thread?.end();
    return true;
  }

  /** Takes an event into the key's queue. */
  post(incoming: Incoming, wanted: 'normal' | 'stranger'): void {
    if (this.state === 'locked' || this.state === 'quarantined') {
      this.#around.dropped(`key ${this.state}`);
      incoming.verdict?.(false, 'error: this key is not available');
      return;
    }
    const lane = this.#lane(incoming.head.pubkey, wanted);
    if (lane === null) {
      this.#around.dropped('key queue full');
      incoming.verdict?.(false, 'rate-limited: this key is overloaded');
      return;
    }
    const seq = this.#nextSeq++;
    this.lastUsed = incoming.arrived;
    const entry: InFlight = { incoming, lane, attempts: 0 };
    this.#inFlight.set(seq, entry);
    if (this.state === 'active') this.#send(seq, entry);
    else if (this.state === 'inactive') void this.#activate();
  }

  /**
   * Has the thread that holds the key do something that is nobody's request, activating it if need be. Null when the key
   * is not available.
   */
  async errand<T>(work: (link: KeyThread['link']) => Promise<T>): Promise<T | null> {
    if (this.state === 'locked' || this.state === 'quarantined') return null;
    this.#errandsInWork++;
    try {
      const thread = this.state === 'active' ? this.#thread : await this.#threadFor();
      return thread === null ? null : await work(thread.link);
    } catch (error) {
      if (error instanceof ActorError) return null;
      throw error;
    } finally {
      this.#errandsInWork--;
    }
  }

  /** Hands a new policy actor's port to the thread, if there is one. */
  reattach(): void {
    if (this.#thread === null) return;
    const port = this.#policyPort();
    this.#thread.link.tell('policy', { port }, [port]);
  }

  /** Ends a thread that has not finished an event long after its deadline: an endless loop must not hold its key. */
  checkHung(now: number): void {
    if (this.state !== 'active') return;
    const oldest = this.#inFlight.values().next().value;
    if (oldest === undefined) return;
    const age = now - Math.max(oldest.incoming.arrived, this.#activeSince);
    if (age > this.#around.limits.requestDeadline + HUNG_AFTER_MS) this.#thread?.kill('it hung');
  }

  /** Resolves when nothing is in flight. */
  idle(): Promise<void> {
    if (this.#inFlight.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#onIdle.push(resolve));
  }

  #threadFor(): Promise<KeyThread | null> {
    const thread = new Promise<KeyThread | null>((resolve) => this.#errands.push(resolve));
    if (this.state === 'inactive') void this.#activate();
    return thread;
  }

  #startErrands(thread: KeyThread | null): void {
    for (const start of this.#errands.splice(0)) start(thread);
  }

  #lane(client: string, wanted: 'normal' | 'stranger'): Lane | null {
    const { keyQueue } = this.#around;
    const share = Math.max(1, keyQueue * SHARE);
    const count = (holds: (entry: InFlight) => boolean) =>
      this.#inFlight.values().filter(holds).take(share).toArray().length;
    if (wanted === 'stranger') return count((entry) => entry.lane === 'stranger') < share ? 'stranger' : null;
    if (this.#inFlight.size < keyQueue) return 'normal';
    if (this.#inFlight.size < 2 * keyQueue && count((entry) => entry.incoming.head.pubkey === client) < share) {
      return 'normal';
    }
    return count((entry) => entry.lane === 'overflow') < share ? 'overflow' : null;
  }

  async #activate(): Promise<void> {
    this.state = 'activating';
    const locks = this.#locks;
    const thread = await this.#around.takeThread();
    if (this.#over(locks)) return void thread?.end();
    if (thread === null) return this.#crashed('no thread could be started');
    const vault = await this.#around.release(this.pubkey);
    if (this.#over(locks)) {
      // What waits on the port opens a key that is locked by now.
      if (typeof vault !== 'string') vault.close();
      return void thread.end();
    }
    if (vault === 'locked') {
      // The vault was restarted and has forgotten: the key is locked again until somebody unlocks it.
      void thread.end();
      this.#around.log('warn', 'the vault no longer holds this key: it is locked', { key: this.name });
      await this.lock();
      return this.#around.relocked();
    }
    if (vault === 'unavailable') {
      void thread.end();
      return this.#crashed('the vault did not answer');
    }

    this.#thread = thread;
    let crashed = false;
    thread.own({
      verified: (seq, id) => this.#verified(seq, id),
      done: (done) => this.#done(done),
      crashed: (reason) => {
        crashed = true;
        if (this.#thread !== thread) return;
        this.#thread = null;
        this.#crashed(reason);
      },
    });
    const policy = this.#policyPort();
    const { limits, relays } = this.#around;
    const answer = await thread.link
      .ask(
        'activate',
        { keyName: this.name, pubkey: this.pubkey, vault, policy, limits, relays },
        { transfer: [vault, policy] },
      )
      .catch(() => ({ ok: false as const, refusal: 'the thread ended' }));
    if (crashed || this.#thread !== thread) return;
    if (!answer.ok) {
      this.#thread = null;
      void thread.end();
      return this.#quarantine(answer.refusal);
    }
    this.state = 'active';
    this.#activeSince = this.#around.clock.mono();
    for (const [seq, entry] of this.#inFlight) this.#send(seq, entry);
    this.#startErrands(thread);
  }

  /** Whether an activation that began after so many locks has been overtaken. */
  #over(locks: number): boolean {
    return this.state !== 'activating' || locks !== this.#locks;
  }

  #policyPort(): import('node:worker_threads').MessagePort {
    const { port1, port2 } = new MessageChannel();
    this.#around.attachPolicy(this.name, port1);
    return port2;
  }

  #send(seq: number, entry: InFlight): void {
    const { raw, arrived } = entry.incoming;
    entry.attempts++;
    this.#thread?.link.tell('event', { seq, raw, arrived, lane: entry.lane, again: entry.attempts > 1 });
  }

  #verified(seq: number, id: string): void {
    this.#around.verified(id);
    this.#inFlight.get(seq)?.incoming.verdict?.(true);
  }

  #done({ seq, method, outcome, response }: Body<KeyToMain, 'done'>): void {
    const entry = this.#inFlight.get(seq);
    if (entry === undefined) return;
    this.#inFlight.delete(seq);
    const { incoming } = entry;
    if (response === null) incoming.verdict?.(false, verdictText(outcome));
    else this.#around.publish(this.pubkey, incoming, response);
    this.#around.finished(method, outcome, this.#around.clock.mono() - incoming.arrived);
    this.#settle();
  }

  #crashed(reason: string): void {
    for (const [seq, entry] of this.#inFlight) {
      if (entry.attempts < MAX_ATTEMPTS) continue;
      this.#inFlight.delete(seq);
      entry.incoming.verdict?.(false, 'error: the signer failed on this event');
    }
    this.#startErrands(null);
    const delay = this.#restarts.next(this.#around.clock.mono());
    if (delay === null) return this.#quarantine(`crash loop: ${reason}`);
    this.#around.log('error', `key actor crashed (${reason}), restarting`, { key: this.name, delayMs: delay });
    this.state = 'activating';
    const locks = this.#locks;
    setTimeout(() => {
      if (this.#over(locks)) return;
      // Without work waiting it may as well stay without a thread.
      if (this.#inFlight.size + this.#errands.length > 0) void this.#activate();
      else this.state = 'inactive';
    }, delay);
    this.#settle();
  }

  #quarantine(reason: string): void {
    this.state = 'quarantined';
    this.reason = reason;
    this.#around.log('error', `key quarantined (${reason}): it answers nothing until it is unlocked again`, {
      key: this.name,
    });
    this.#dropAll('error: this key is not available');
  }

  #dropAll(verdict: string): void {
    this.#startErrands(null);
    for (const entry of this.#inFlight.values()) entry.incoming.verdict?.(false, verdict);
    this.#inFlight.clear();
    this.#settle();
  }

  #settle(): void {
    if (this.#inFlight.size > 0 || this.#onIdle.length === 0) return;
    for (const resolve of this.#onIdle.splice(0)) resolve();
  }
}

/** NIP-01 OK reasons for events that were not answered. */
function verdictText(outcome: string): string {
  switch (outcome) {
    case 'dropped: signature':
      return 'invalid: id or signature is wrong';
    case 'dropped: skew':
      return 'invalid: created_at is too far from the present';
    case 'dropped: replay':
      return 'duplicate: handled before';
    default:
      return 'blocked: not accepted';
  }
}
