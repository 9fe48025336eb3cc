import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { type Body, Transferred } from '../actor/protocol.ts';
import { DEFAULT_RESTARTS, Restarts } from '../actor/restarts.ts';
import { TransientMap } from '../actor/transient-map.ts';
import { UNANSWERED } from '../keystore/protocol.ts';
import type { Incoming } from '../relay/protocol.ts';
import { Errands } from './errands.ts';
import type { InFlight } from './in-flight.ts';
import { laneOf } from './lanes.ts';
import type { KeyToMain } from './protocol.ts';
import type { Surroundings } from './surroundings.ts';
import type { KeyThread } from './thread.ts';
import { verdictText } from './verdict-text.ts';

/**
 * `locked`: only the sealed file exists. `expected`: the same, but a sweep is about to open it, and its requests wait
 * for the end of that. `inactive`: the vault can open it. `activating`, `active`: a thread of its
 * own holds it. `quarantined`: it crashed too often, or its file is damaged; it answers nothing, and health names it.
 */
export type KeyState = 'locked' | 'expected' | 'inactive' | 'activating' | 'active' | 'quarantined';

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
  /** Monotonic ms since when a thread holds it, while one does. */
  activeSince = 0;
  readonly #around: Surroundings;
  readonly #restarts = new Restarts();
  readonly #inFlight = new TransientMap<number, InFlight>();
  /** How many of those in flight wait for an admin. */
  #pending = 0;
  #thread: KeyThread | null = null;
  #nextSeq = 1;
  /** Counts locks: what was under way before one is over after it, even if the key was unlocked again meanwhile. */
  #locks = 0;
  #onIdle: (() => void)[] = [];
  readonly #errands = new Errands();
  /** Others wait for its thread. */
  #yields = false;
  /** It has given its place up while admins decide, and kept its thread. */
  #isPlaceless = false;

  constructor(name: string, pubkey: string, around: Surroundings) {
    this.name = name;
    this.pubkey = pubkey;
    this.#around = around;
  }

  get unlocked(): boolean {
    return this.state !== 'locked' && this.state !== 'expected';
  }

  /** Whether its requests are subscribed to. */
  get listens(): boolean {
    return this.state !== 'locked';
  }

  /** Whether a thread holds it that takes one of the places. */
  get isActive(): boolean {
    return this.state === 'active' && !this.#isPlaceless;
  }

  /** Whether all that its thread has in hand waits for an admin, who may take minutes. */
  get isWaiting(): boolean {
    return this.#pending > 0 && !this.#inFlight.values().some((entry) => entry.isSent && !entry.pending);
  }

  /** Whether no thread has an event or an errand of it in hand. */
  get isIdle(): boolean {
    return !this.#errands.areOpen && !this.#inFlight.values().some((entry) => entry.isSent);
  }

  /** Gives its place to another key, and keeps its thread until what waits there is decided. */
  leavePlace(): void {
    this.#isPlaceless = true;
    this.#thread?.leavePlace();
    if (!this.#yields) return;
    this.#yields = false;
    this.#sendWaiting();
  }

  get queued(): number {
    return this.#inFlight.size - this.#pending;
  }

  /** The vault holds its unsealing key now. */
  unlock(): void {
    if (this.state === 'active' || this.state === 'activating') return;
    this.state = 'inactive';
    this.reason = null;
    this.#restarts.reset();
    if (this.#inFlight.size > 0 || this.#errands.areWaiting) void this.#activate();
  }

  /**
   * A sweep is about to open it: what comes meanwhile waits, and so does what no thread has in hand. A thread that holds
   * the key keeps working.
   */
  expect(): void {
    if (this.state === 'active' || this.state === 'quarantined') return;
    if (this.state === 'activating') {
      this.#locks++;
      this.#takeBack();
    }
    this.state = 'expected';
  }

  /** The sweep is over and has not opened it: it stays locked. */
  async giveUp(): Promise<void> {
    if (this.state === 'expected') await this.lock();
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

  /** Ends its thread if nothing is in work there; the vault can open it again. */
  async passivate(): Promise<boolean> {
    if (this.state !== 'active' || !this.isIdle) return false;
    this.state = 'inactive';
    this.#around.events.passivations++;
    const thread = this.#thread;
    this.#thread = null;
    // What came after it was to yield: it queues up behind those who wait already.
    if (this.#inFlight.size > 0) void this.#activate();
    await thread?.end();
    return true;
  }

  /** Starts nothing more, and ends its thread when what is in work there is done. */
  yield(): void {
    this.#yields = true;
  }

  /** Takes an event into the key's queue. */
  post(incoming: Incoming, wanted: 'normal' | 'stranger'): void {
    if (this.state === 'locked' || this.state === 'quarantined') {
      this.#around.dropped(`key ${this.state}`);
      incoming.verdict?.(false, 'error: this key is not available');
      return;
    }
    const lane = laneOf(incoming, wanted, this.#inFlight, this.queued, this.#around.keyQueue);
    if (lane === null) {
      this.#around.dropped('key queue full');
      incoming.verdict?.(false, 'rate-limited: this key is overloaded');
      return;
    }
    const seq = this.#nextSeq++;
    this.lastUsed = incoming.arrived;
    const entry: InFlight = { incoming, lane, attempts: 0, isSent: false, pending: false };
    this.#inFlight.set(seq, entry);
    if (this.state === 'active') {
      if (!this.#yields) this.#send(seq, entry);
    } else if (this.state === 'inactive') void this.#activate();
  }

  /**
   * Has the thread that holds the key do something that is nobody's request, activating it if need be. Null when the key
   * is not available.
   */
  async errand<T>(work: (link: KeyThread['link']) => Promise<T>): Promise<T | null> {
    if (!this.unlocked || this.state === 'quarantined') return null;
    const done = this.#errands.run(this.state === 'active' ? this.#thread : null, work);
    if (this.state === 'inactive') void this.#activate();
    return done.finally(() => this.#settle());
  }

  /** Tells the thread, if there is one, what is configured now. */
  reconfigure(): void {
    const { limits, relays } = this.#around;
    this.#thread?.link.tell('settings', { limits, relays });
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
    const oldest = this.#inFlight.values().next().value?.incoming.arrived ?? now;
    const age = now - Math.max(oldest, this.activeSince);
    if (age > this.#around.limits.requestDeadline + HUNG_AFTER_MS) this.#thread?.kill('it hung');
  }

  /** Resolves when nothing is in flight. */
  idle(): Promise<void> {
    if (this.#inFlight.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#onIdle.push(resolve));
  }

  async #activate(): Promise<void> {
    this.state = 'activating';
    const locks = this.#locks;
    const thread = await this.#around.takeThread();
    if (this.#over(locks)) return void thread?.end();
    // That is not the key's fault: it is tried again for as long as it takes.
    if (thread === null) return this.#crashed('no thread could be started', DEFAULT_RESTARTS.maxDelayMs);

    this.#thread = thread;
    let crashed = false;
    thread.own({
      verified: (seq, id) => this.#verified(seq, id),
      done: (done) => this.#done(done),
      pending: (seq) => this.#wait(seq),
      admins: () => this.#adminPort(),
      crashed: (reason) => {
        crashed = true;
        if (this.#thread !== thread) return;
        this.#thread = null;
        this.#crashed(reason);
      },
    });
    const policy = this.#policyPort();
    const { limits, relays } = this.#around;
    // Vault and thread are told at once: the one waits for the other without this thread between them.
    const { port: vault, released } = this.#around.release(this.pubkey);
    const activated = thread.link
      .ask(
        'activate',
        { keyName: this.name, pubkey: this.pubkey, vault, policy, limits, relays },
        { transfer: [vault, policy] },
      )
      .catch(() => ({ ok: false as const, refusal: 'the thread ended' }));
    // The thread keeps these until the key is open: they need not wait for its answer.
    this.#sendWaiting();
    const [release, answer] = await Promise.all([released, activated]);
    if (crashed || this.#thread !== thread) return;
    if (release === 'locked') return this.#forgotten();
    if (release === 'unavailable' || (!answer.ok && answer.refusal === UNANSWERED)) {
      this.#takeBack();
      return this.#crashed('the vault did not answer');
    }
    if (!answer.ok) {
      this.#thread = null;
      void thread.end();
      return this.#quarantine(answer.refusal);
    }
    this.state = 'active';
    this.#around.events.activations++;
    this.#yields = false;
    this.#isPlaceless = false;
    this.activeSince = this.#around.clock.mono();
    this.#sendWaiting();
    this.#errands.start(thread);
    this.#settle();
  }

  /** The vault was restarted and has forgotten: the key is locked again until somebody unlocks it. */
  async #forgotten(): Promise<void> {
    this.#around.log('warn', 'the vault no longer holds this key: it is locked', { key: this.name });
    await this.lock();
    this.#around.relocked();
  }

  /** Of a thread that had yet to open the key: its events were not tried, and it is ended. */
  #takeBack(): void {
    for (const entry of this.#inFlight.values()) {
      if (!entry.isSent) continue;
      entry.isSent = false;
      entry.attempts--;
    }
    void this.#thread?.end();
    this.#thread = null;
  }

  /** Whether an activation that began after so many locks has been overtaken. */
  #over(locks: number): boolean {
    return this.state !== 'activating' || locks !== this.#locks;
  }

  #portTo(attach: (keyName: string, port: MessagePort) => void): MessagePort {
    const { port1, port2 } = new MessageChannel();
    attach(this.name, port1);
    return port2;
  }

  #policyPort(): MessagePort {
    const client = this.#inFlight.values().next().value?.incoming.head.pubkey ?? null;
    return this.#portTo((keyName, port) => this.#around.attachPolicy(keyName, port, client));
  }

  #adminPort(): Transferred<MessagePort> {
    const port = this.#portTo(this.#around.attachAdmins);
    return new Transferred(port, [port]);
  }

  #wait(seq: number): void {
    const entry = this.#inFlight.get(seq);
    if (entry === undefined || entry.pending) return;
    entry.pending = true;
    this.#pending++;
    this.#settle();
  }

  #sendWaiting(): void {
    for (const [seq, entry] of this.#inFlight) if (!entry.isSent) this.#send(seq, entry);
  }

  #send(seq: number, entry: InFlight): void {
    const { raw, arrived } = entry.incoming;
    entry.attempts++;
    entry.isSent = true;
    if (entry.pending) {
      entry.pending = false;
      this.#pending--;
    }
    this.#thread?.link.tell('event', { seq, raw, arrived, lane: entry.lane, again: entry.attempts > 1 });
  }

  #verified(seq: number, id: string): void {
    this.#around.verified(id);
    this.#inFlight.get(seq)?.incoming.verdict?.(true);
  }

  #done({ seq, method, outcome, response }: Body<KeyToMain, 'done'>): void {
    const entry = this.#inFlight.get(seq);
    if (entry === undefined) return;
    this.#remove(seq, entry);
    const { incoming } = entry;
    if (response === null) incoming.verdict?.(false, verdictText(outcome));
    else this.#around.publish(this.pubkey, incoming, response);
    this.#around.finished(this.name, incoming, method, outcome, this.#around.clock.mono() - incoming.arrived);
    this.#settle();
  }

  /** @param whenOften how long it waits after too many crashes, ms; null: it is quarantined */
  #crashed(reason: string, whenOften: number | null = null): void {
    this.#around.events.crashes++;
    for (const [seq, entry] of this.#inFlight) {
      entry.isSent = false;
      if (entry.attempts < MAX_ATTEMPTS) continue;
      this.#remove(seq, entry);
      entry.incoming.verdict?.(false, 'error: the signer failed on this event');
    }
    this.#errands.start(null);
    const delay = this.#restarts.next(this.#around.clock.mono()) ?? whenOften;
    if (delay === null) return this.#quarantine(`crash loop: ${reason}`);
    this.#around.log('error', `key actor crashed (${reason}), restarting`, { key: this.name, delayMs: delay });
    this.state = 'activating';
    const locks = this.#locks;
    setTimeout(() => {
      if (this.#over(locks)) return;
      // Without work waiting it may as well stay without a thread.
      if (this.#inFlight.size > 0 || this.#errands.areWaiting) void this.#activate();
      else this.state = 'inactive';
    }, delay).unref();
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
    this.#errands.start(null);
    for (const entry of this.#inFlight.values()) entry.incoming.verdict?.(false, verdict);
    this.#inFlight.clear();
    this.#pending = 0;
    this.#settle();
  }

  #remove(seq: number, entry: InFlight): void {
    this.#inFlight.delete(seq);
    if (entry.pending) this.#pending--;
  }

  #settle(): void {
    if (this.#yields && this.isWaiting) this.leavePlace();
    if (this.#yields || this.#isPlaceless) void this.passivate();
    if (this.isIdle || this.isWaiting) this.#around.rested();
    if (this.#inFlight.size > 0) return;
    for (const resolve of this.#onIdle.splice(0)) resolve();
  }
}
