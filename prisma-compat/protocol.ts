/** Keys that nsecbunkerd left in nsecbunker.json, on their way into a key actor. docs/KEYSTORE.md */
import type { MessagePort } from 'node:worker_threads';

/** A key that lies in nsecbunker.json under a passphrase. Ciphertext: anybody may carry it. */
export type LegacyKey = {
  version: 0;
  name: string;
  /** What the vault keeps it under until its thread has told its pubkey. */
  pubkey: string;
  /** hex, 16 bytes */
  iv: string;
  /** hex */
  data: string;
};

/** `pubkey` is empty while nobody knows it: such a key has no row. */
export type KeyRef = { name: string; pubkey: string };

/** The vault holds, under `id`, what may open this key; only a thread of its own can tell. */
export type Held = KeyRef & { id: string };

/** What became of keys of nsecbunker.json in the unlock pool. */
export type FromFile = {
  held: Held[];
  /** They lie there unencrypted; the vault holds them sealed for this run. `isNew`: nobody knew the pubkey. */
  opened: (KeyRef & { isNew: boolean })[];
  failed: (KeyRef & { error: string })[];
};

/** Reads the unencrypted keys of nsecbunker.json into the vault, but for those that the keystore has. */
export type RecoverTask = { op: 'recover'; file: string; keystore: string; keys: KeyRef[]; vault: MessagePort };
