import { firstFew } from '../first-few.ts';
import { KeystoreFiles } from '../keystore/files.ts';
import type { Keys } from './keys.ts';

type KeyRef = { name: string; pubkey: string };

/** Keys with a row and no file: the keystore is another one than it was, or its disk is not there. */
export class LostKeys {
  readonly #files: KeystoreFiles;
  readonly #keys: Keys;
  #lost: readonly KeyRef[] = [];

  constructor(keystore: string, keys: Keys) {
    this.#files = new KeystoreFiles(keystore);
    this.#keys = keys;
  }

  /** At start. @param sealed keys that should have a file */
  look(sealed: readonly KeyRef[]): void {
    const files = this.#there();
    this.#lost = sealed.filter(({ pubkey }) => !files.has(pubkey));
  }

  /** One line about those that are still without one and were not deleted since; null where there is none. */
  reason(): string | null {
    if (this.#lost.length > 0) this.look(this.#lost.filter(({ pubkey }) => this.#keys.get(pubkey) !== undefined));
    if (this.#lost.length === 0) return null;
    const named = firstFew(this.#lost, ({ name }) => name);
    return `the keystore ${this.#files.folder} has no file of ${named}: is keystore.dir right, and is its disk there?`;
  }

  #there(): ReadonlySet<string> {
    try {
      return new Set(this.#files.pubkeys());
    } catch {
      return new Set();
    }
  }
}
