import type { Incoming } from '../relay/protocol.ts';
import { Forged } from './forged.ts';
import { Places } from './places.ts';
import type { KeySettings } from './protocol.ts';
import type { Strangers } from './strangers.ts';
import type { Surroundings, ThreadCounts } from './surroundings.ts';
import type { KeyThread } from './thread.ts';
import { VirtualKey } from './virtual-key.ts';

export interface KeysOptions {
  maxActive: number;
  /** Client pubkeys bound to a key, from the policy actor; null where they are too many. */
  clients(keyName: string): Promise<string[] | null>;
  /** Whether this is one of them. */
  isClient(keyName: string, client: string): Promise<boolean>;
  blanks: { take(): Promise<KeyThread | null> };
  strangers: Strangers;
}

/** How often the policy actor is asked again while it does not answer. */
const ASK_AGAIN_MS = 50;
/** Events held while the bindings of their key are being read, and senders that the policy actor is asked about at once. */
const HELD = 256;
/** Of a key with more clients than are told at once, so many that were found to be bound are remembered. */
const MOST_REMEMBERED = 10_000;

/** Who is bound to a key, as far as it is known here. */
interface Bound {
  clients: Set<string>;
  /** These are all of them. */
  all: boolean;
}

/** All keys of the daemon by public key: routing, activation, passivation. */
export class Keys {
  readonly #around: Surroundings;
  readonly #options: KeysOptions;
  readonly #keys = new Map<string, VirtualKey>();
  readonly #named = new Map<string, VirtualKey>();
  readonly #places: Places;
  readonly #bound = new Map<string, Bound>();
  readonly #forged = new Forged();
  #asking = 0;
  readonly #loading = new Map<string, Incoming[]>();
  #accepting = true;

  constructor(around: Omit<Surroundings, 'takeThread' | 'rested' | 'events'>, options: KeysOptions) {
    const events = { activations: 0, passivations: 0, crashes: 0 };
    const rested = () => this.#places.makeRoom();
    const told = around.finished;
    const finished: Surroundings['finished'] = (key, incoming, method, outcome, ms) => {
      if (outcome === 'dropped: signature') this.#forged.note(incoming.head.pubkey, incoming.arrived);
      told(key, incoming, method, outcome, ms);
    };
    this.#around = Object.assign(around, { events, takeThread: () => this.#takeThread(), rested, finished });
    this.#options = options;
    this.#places = new Places(options.maxActive, () => this.#keys.values());
  }

  get events(): Readonly<ThreadCounts> {
    return this.#around.events;
  }

  /** From the next request on, in running threads too. */
  reconfigure({ keyQueue, ...settings }: KeySettings & { keyQueue: number }): void {
    Object.assign(this.#around, { keyQueue, ...settings });
    for (const key of this.#keys.values()) key.reconfigure();
  }

  /** Makes a key known, locked. */
  add(name: string, pubkey: string): VirtualKey {
    const known = this.#keys.get(pubkey);
    if (known !== undefined) return known;
    const key = new VirtualKey(name, pubkey, this.#around);
    this.#keys.set(pubkey, key);
    this.#named.set(name, key);
    return key;
  }

  /** Forgets a key that was deleted, and who was bound to it; whoever removes it locks it. */
  remove(pubkey: string): void {
    const key = this.#keys.get(pubkey);
    if (key === undefined) return;
    this.#keys.delete(pubkey);
    this.#named.delete(key.name);
    this.#bound.delete(key.name);
  }

  get(pubkey: string): VirtualKey | undefined {
    return this.#keys.get(pubkey);
  }

  named(name: string): VirtualKey | undefined {
    return this.#named.get(name);
  }

  all(): IterableIterator<VirtualKey> {
    return this.#keys.values();
  }

  /** Pubkeys whose requests are subscribed to. */
  subscribed(): string[] {
    return [...this.#keys.values()].filter((key) => key.listens).map((key) => key.pubkey);
  }

  /** How many keys may want a thread at any moment and have none; counted up to `most`. */
  withoutThread(most: number): number {
    let count = 0;
    for (const { state } of this.#keys.values()) {
      if (count >= most) break;
      if (state === 'inactive' || state === 'expected') count++;
    }
    return count;
  }

  unlocked(): { name: string; pubkey: string; active: boolean; quarantined: boolean }[] {
    return [...this.#keys.values()]
      .filter((key) => key.unlocked)
      .map(({ name, pubkey, state }) => ({
        name,
        pubkey,
        active: state === 'active',
        quarantined: state === 'quarantined',
      }));
  }

  counts(): { total: number; unlocked: number; locked: number; active: number; queued: number } {
    const counts = { total: 0, unlocked: 0, locked: 0, active: 0, queued: 0 };
    for (const key of this.#keys.values()) {
      counts.total++;
      if (key.unlocked) counts.unlocked++;
      else counts.locked++;
      if (key.state === 'active') counts.active++;
      counts.queued += key.queued;
    }
    return counts;
  }

  /** A kind 24133 event for one of the keys. */
  route(incoming: Incoming): void {
    const key = this.#keys.get(incoming.head.p);
    if (key === undefined || !this.#accepting) {
      this.#around.dropped(key === undefined ? 'no such key' : 'stopping');
      incoming.verdict?.(false, 'error: this key is not available');
      return;
    }
    const bound = this.#bound.get(key.name);
    if (bound === undefined) return this.#hold(key, incoming);
    if (!bound.clients.has(incoming.head.pubkey)) {
      void (bound.all ? this.#examine(key, incoming, 'stranger') : this.#lookUp(key, bound, incoming));
    } else if (this.#forged.suspects(incoming.head.pubkey, incoming.arrived)) {
      void this.#examine(key, incoming, 'normal');
    } else key.post(incoming, 'normal');
  }

  /** The policy actor bound a client. */
  bound(keyName: string, client: string): void {
    this.#bound.get(keyName)?.clients.add(client);
  }

  /** The bindings were changed by somebody else: they are read again as they are needed. */
  forgetClients(): void {
    this.#bound.clear();
  }

  reattachPolicy(): void {
    this.#bound.clear();
    for (const key of this.#keys.values()) key.reattach();
  }

  checkHung(now: number): void {
    for (const key of this.#keys.values()) key.checkHung(now);
  }

  /** Takes no more events and waits until nothing is in flight, at most `ms`. */
  async drain(ms: number): Promise<void> {
    this.#accepting = false;
    await Promise.all([...this.#keys.values()].map((key) => key.giveUp()));
    const idle = Promise.all([...this.#keys.values()].map((key) => key.idle()));
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, ms);
    await Promise.race([idle, promise]);
    clearTimeout(timer);
  }

  async lockAll(): Promise<void> {
    this.#places.close();
    await Promise.all([...this.#keys.values()].map((key) => key.lock()));
  }

  async #examine(key: VirtualKey, incoming: Incoming, lane: 'normal' | 'stranger'): Promise<void> {
    const { strangers } = this.#options;
    const refusal = await (lane === 'stranger' ? strangers.examine(incoming) : strangers.verify(incoming));
    if (refusal === null) return key.post(incoming, lane);
    if (lane === 'normal' && refusal === 'strangers: signature')
      this.#forged.note(incoming.head.pubkey, incoming.arrived);
    this.#around.dropped(refusal);
    incoming.verdict?.(
      false,
      refusal === 'strangers: signature' ? 'invalid: id or signature is wrong' : 'rate-limited: try again later',
    );
  }

  /** The sender may be one of many: the policy actor is asked about this one. */
  async #lookUp(key: VirtualKey, bound: Bound, incoming: Incoming): Promise<void> {
    if (this.#asking >= HELD) return this.#refuse(incoming);
    this.#asking++;
    const client = incoming.head.pubkey;
    const isClient = await this.#answerOf(() => this.#options.isClient(key.name, client));
    this.#asking--;
    if (isClient === undefined) return incoming.verdict?.(false, 'error: busy');
    if (!isClient) return this.#examine(key, incoming, 'stranger');
    if (bound.clients.size >= MOST_REMEMBERED) bound.clients = new Set();
    bound.clients.add(client);
    this.route(incoming);
  }

  #refuse(incoming: Incoming): void {
    this.#around.dropped('key queue full');
    incoming.verdict?.(false, 'rate-limited: this key is overloaded');
  }

  #hold(key: VirtualKey, incoming: Incoming): void {
    const held = this.#loading.get(key.name);
    if (held === undefined) {
      this.#loading.set(key.name, [incoming]);
      void this.#loadClients(key);
    } else if (held.length < HELD) held.push(incoming);
    else this.#refuse(incoming);
  }

  async #loadClients(key: VirtualKey): Promise<void> {
    const clients = await this.#answerOf(() => this.#options.clients(key.name));
    const held = this.#loading.get(key.name) ?? [];
    this.#loading.delete(key.name);
    if (clients === undefined) {
      for (const incoming of held) incoming.verdict?.(false, 'error: busy');
      return;
    }
    // Once it is deleted, another key may get its name, and has clients of its own.
    if (this.#named.get(key.name) === key) {
      this.#bound.set(key.name, { clients: new Set(clients), all: clients !== null });
    }
    for (const incoming of held) this.route(incoming);
  }

  /**
   * The policy actor may be on its way up again: it is asked until it answers, or nobody reads the answer to a request
   * that is too old; then undefined.
   */
  async #answerOf<T>(ask: () => Promise<T>): Promise<T | undefined> {
    const { clock, limits } = this.#around;
    const giveUp = clock.mono() + limits.requestDeadline;
    for (;;) {
      const answer = await ask().catch(() => undefined);
      if (answer !== undefined || clock.mono() >= giveUp) return answer;
      await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS));
    }
  }

  async #takeThread(): Promise<KeyThread | null> {
    await this.#places.take();
    const thread = await this.#options.blanks.take();
    if (thread === null) this.#places.free();
    else {
      let hasPlace = true;
      thread.leavePlace = () => {
        if (hasPlace) this.#places.free();
        hasPlace = false;
      };
      void thread.gone.then(thread.leavePlace);
    }
    return thread;
  }
}
