import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { Link } from '../actor/link.ts';
import { type Handlers, Transferred, wipe } from '../actor/protocol.ts';
import { copyOf, leave } from '../actor/secret-port.ts';
import type { MainToVault, Slot, UnlockerToVault, Unsealing } from './protocol.ts';
import { Slab } from './slab.ts';

interface Entry {
  sealed: Unsealing['sealed'];
  slot: Slot;
  /** Of the unsealing key, in the slab. */
  place: number;
}

/**
 * Holds what opens each unlocked key, and never a private key. Unlockers bring it and key actors take it over ports
 * of their own; the main thread hands these on unread.
 */
export class Vault {
  readonly #entries = new Map<string, Entry>();
  /** Many keys share few slots: one object for each. */
  readonly #slots = new Map<string, Slot>();
  readonly #keys: Slab;

  constructor(keys = new Slab()) {
    this.#keys = keys;
  }

  /** For a link with the main thread. */
  readonly handlers: Handlers<MainToVault> = {
    intake: () => this.#intake(),
    release: ({ pubkey, port }) => this.#release(pubkey, port),
    rename: ({ from, to }) => this.#rename(from, to),
    forget: ({ pubkey }) => this.#forget(pubkey),
    forgetAll: () => {
      this.#entries.clear();
      this.#slots.clear();
      this.#keys.clear();
      return null;
    },
  };

  #intake(): Transferred<MessagePort> {
    const { port1, port2 } = new MessageChannel();
    const handlers: Handlers<UnlockerToVault> = {
      keep: (unsealing) => this.#keep(unsealing),
      another: () => this.#intake(),
    };
    new Link<Record<never, never>, UnlockerToVault>(port1, handlers);
    return new Transferred(port2, [port2]);
  }

  #keep({ sealed, slot, unsealingKey }: Unsealing): null {
    try {
      this.#forget(sealed.pubkey);
      this.#entries.set(sealed.pubkey, { sealed, slot: this.#shared(slot), place: this.#keys.put(unsealingKey) });
      return null;
    } finally {
      wipe(unsealingKey);
    }
  }

  #release(pubkey: string, port: MessagePort): boolean {
    const entry = this.#entries.get(pubkey);
    if (entry === undefined) {
      port.close();
      return false;
    }
    const { sealed, slot, place } = entry;
    const unsealingKey = copyOf(this.#keys.view(place));
    leave(port, { sealed, slot, unsealingKey } satisfies Unsealing, [unsealingKey]);
    return true;
  }

  #rename(from: string, to: string): boolean {
    const entry = this.#entries.get(from);
    if (entry === undefined) return false;
    this.#entries.delete(from);
    this.#forget(to);
    this.#entries.set(to, entry);
    return true;
  }

  #forget(pubkey: string): null {
    const entry = this.#entries.get(pubkey);
    if (entry === undefined) return null;
    this.#keys.remove(entry.place);
    this.#entries.delete(pubkey);
    return null;
  }

  #shared(slot: Slot): Slot {
    const key = JSON.stringify(slot);
    const shared = this.#slots.get(key) ?? slot;
    this.#slots.set(key, shared);
    return shared;
  }
}
