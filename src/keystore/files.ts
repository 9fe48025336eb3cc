import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { removeTemporary, syncFolder, writeDurably } from './durable.ts';
import type { Lock } from './lock.ts';
import type { SealedKey, Slot } from './protocol.ts';
import { readBounded } from './read-bounded.ts';
import { isPubkey, MAX_KEY_FILE, MAX_SLOTS_FILE, parseSealedKey, parseSlots } from './schema.ts';

const SLOTS_FILE = 'keystore.json';
const KEY_FILE = /^[0-9a-f]{64}\.json$/;

export type Slots = { ok: true; slots: Slot[] } | { ok: false; refusal: string };
export type KeyFile =
  | { ok: true; sealed: SealedKey }
  | { ok: false; error: 'no such key in the keystore' | 'key file is damaged' | `key file cannot be read (${string})` };

/** The keystore's folder: keystore.json and one file for each key. What is read from it is not trusted. */
export class KeystoreFiles {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = resolve(folder);
  }

  /** Makes the folder, or closes an existing one to group and others. @throws the system's error */
  make(): void {
    if (mkdirSync(this.folder, { recursive: true, mode: 0o700 }) !== undefined) syncFolder(dirname(this.folder));
    if ((statSync(this.folder).mode & 0o077) !== 0) chmodSync(this.folder, 0o700);
  }

  /** For the start, when nobody writes. @returns how many files a crash had left behind */
  clean(): number {
    return removeTemporary(this.folder);
  }

  /** Pubkeys that have a key file. */
  pubkeys(): string[] {
    if (!existsSync(this.folder)) return [];
    return readdirSync(this.folder)
      .filter((name) => KEY_FILE.test(name))
      .map((name) => name.slice(0, 64));
  }

  slots(): Slots {
    const path = join(this.folder, SLOTS_FILE);
    const read = readBounded(path, MAX_SLOTS_FILE);
    if (read.ok) {
      const slots = parseSlots(read.bytes);
      if (slots !== null) return { ok: true, slots };
      return { ok: false, refusal: `${path} is damaged: put it back from a backup, together with the key files` };
    }
    if (read.why !== 'missing') {
      return { ok: false, refusal: `${path} cannot be read (${read.code || read.why}): see to its owner and mode` };
    }
    if (this.pubkeys().length === 0) return { ok: true, slots: [] };
    return { ok: false, refusal: `${path} is missing although there are keys: put it back from a backup` };
  }

  key(pubkey: string): KeyFile {
    if (!isPubkey(pubkey)) return { ok: false, error: 'no such key in the keystore' };
    const read = readBounded(this.#keyPath(pubkey), MAX_KEY_FILE);
    if (read.ok) {
      const sealed = parseSealedKey(read.bytes);
      if (sealed === null || sealed.pubkey !== pubkey) return { ok: false, error: 'key file is damaged' };
      return { ok: true, sealed };
    }
    if (read.why === 'missing') return { ok: false, error: 'no such key in the keystore' };
    if (read.why === 'unreadable') return { ok: false, error: `key file cannot be read (${read.code})` };
    return { ok: false, error: 'key file is damaged' };
  }

  /** @throws the system's error; the old file is then still there, or none */
  writeKey(sealed: SealedKey): void {
    this.make();
    writeDurably(this.#keyPath(sealed.pubkey), bytes(sealed));
  }

  /** For a key that nobody has. Durable; none is there afterwards, also when there was none. @throws the system's error */
  removeKey(pubkey: string): void {
    rmSync(this.#keyPath(pubkey), { force: true });
    if (existsSync(this.folder)) syncFolder(this.folder);
  }

  /**
   * Adds a slot. Refused as null when keystore.json has slots by now that are not in `known`: the caller looks at
   * them first, so that two tasks with one new passphrase end with one slot.
   *
   * @throws the system's error
   */
  addSlot(slot: Slot, known: ReadonlySet<string>, lock: Lock, owner: number): Slots | null {
    return lock.hold(owner, () => {
      const found = this.slots();
      if (!found.ok) return found;
      if (found.slots.some(({ id }) => !known.has(id))) return null;
      const slots = [...found.slots, slot];
      this.make();
      writeDurably(join(this.folder, SLOTS_FILE), bytes({ version: 1, slots }));
      return { ok: true, slots };
    });
  }

  #keyPath(pubkey: string): string {
    return join(this.folder, `${pubkey}.json`);
  }
}

function bytes(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}
