/** Keys at rest and on their way into a key actor. docs/KEYSTORE.md */
import type { MessagePort } from 'node:worker_threads';
import type { Ask, MainProtocol, Secret, Tell } from '../actor/protocol.ts';
import type { LogLine } from '../policy/protocol.ts';

/** A sealed key as it lies in `<pubkey>.json`. */
export type SealedKey = {
  version: 1;
  name: string;
  /** hex */
  pubkey: string;
  slot: string;
  /** base64, 24 bytes */
  nonce: string;
  /** base64, 48 bytes: the key and its tag */
  ciphertext: string;
};

/** One passphrase's parameters in `keystore.json`. */
export type Slot = { id: string; salt: string; logN: number; r: 8; p: 1; check: string };

/** What opens one key: sent from the vault to that key's actor, on a port between these two. */
export interface Unsealing {
  sealed: SealedKey;
  slot: Slot;
  unsealingKey: Secret;
}

/** Unlocker to vault, on a port that the vault made for this one task. */
export type UnlockerToVault = {
  keep: Ask<Unsealing, null>;
};

/** Main thread to vault. Ports are handed on unread. */
export type MainToVault = MainProtocol<{
  /** A port for one unlocker, ready for `keep`. */
  intake: Ask<null, MessagePort>;
  /** A port on which one `Unsealing` already waits; null when the key is locked. */
  release: Ask<{ pubkey: string }, MessagePort | null>;
  /** Overwrites and forgets: the key is locked. */
  forget: Ask<{ pubkey: string }, null>;
  /** Overwrites everything. */
  forgetAll: Ask<null, null>;
}>;
export type VaultToMain = MainProtocol<{
  log: Tell<LogLine>;
}>;

/** Where a passphrase comes from: a port on which one `Passphrase` message waits, or a file the unlocker reads. */
export type PassphraseSource = { port: MessagePort } | { file: string };

/** Admin actor to unlocker, the one message on their port. `imported`: nsec, hex or ncryptsec text as bytes. */
export interface PassphraseMessage {
  passphrase: Secret;
  imported?: Secret;
}

/** Tasks of the unlock pool: what the main thread posts; it holds no secret. `vault` comes from `intake`. */
export type UnlockTask =
  | {
      op: 'create';
      keystore: string;
      logN: number;
      name: string;
      source: PassphraseSource;
      vault: MessagePort;
      /** Pubkeys that may not be imported: they have a Key row already. */
      taken: { pubkey: string; name: string }[];
    }
  | {
      op: 'unlock';
      keystore: string;
      keys: { name: string; pubkey: string }[];
      source: PassphraseSource;
      vault: MessagePort;
    };

export type CreateResult = { ok: true; pubkey: string } | { ok: false; refusal: string };
export type UnlockResult = {
  /** pubkeys that the vault now holds */
  unlocked: string[];
  /** `error`: `wrong passphrase`, `key file is damaged`, `no such key in the keystore`, ... */
  failed: { name: string; pubkey: string; error: string }[];
};
