/** Keys at rest and on their way into a key actor. docs/KEYSTORE.md */
import type { MessagePort } from 'node:worker_threads';
import type { FromFile, LegacyKey, RecoverTask } from '../../prisma-compat/protocol.ts';
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

/** Refusal of whoever brought a passphrase that does not open the key. */
export const WRONG = 'wrong passphrase';
/** Refusal of whoever got nothing from the vault. */
export const UNANSWERED = 'the vault did not answer: try again';

/** What opens one key: sent from the vault to that key's actor, on a port between these two. */
export interface Unsealing {
  sealed: SealedKey | LegacyKey;
  slot: Slot;
  unsealingKey: Secret;
}

/** Unlocker to vault, on a port that the vault made for this one task. */
export type UnlockerToVault = {
  keep: Ask<Unsealing, null>;
  /** One more port like this one, for a part of the task that another thread of the pool does. */
  another: Ask<null, MessagePort>;
};

/** Main thread to vault. Ports are handed on unread. */
export type MainToVault = MainProtocol<{
  /** A port for one unlocker, ready for `keep`. */
  intake: Ask<null, MessagePort>;
  /** Puts one `Unsealing` on the port; false when the key is locked, and the port is closed. */
  release: Ask<{ pubkey: string; port: MessagePort }, boolean>;
  /** A key whose pubkey is known by now; false when the vault does not hold it any more. */
  rename: Ask<{ from: string; to: string }, boolean>;
  /** Overwrites and forgets: the key is locked. */
  forget: Ask<{ pubkey: string }, null>;
  /** Overwrites everything. */
  forgetAll: Ask<null, null>;
}>;
export type VaultToMain = MainProtocol<{
  log: Tell<LogLine>;
}>;

/**
 * Where a passphrase comes from: a port on which one `Passphrase` message waits, or what the unlocker itself reads: a
 * file, one entry of a file with many, or the environment that the process was started with (a descriptor of it).
 */
export type PassphraseSource =
  | { port: MessagePort }
  | { file: string }
  | { passphrases: string; entry: string }
  | { environment: number };

/** What the environment says of autounlock; the main thread has not looked at the passphrase. docs/AUTOUNLOCK.md */
export type AutounlockSources = {
  /** Descriptor of the environment that holds NSECBUNKER_AUTOUNLOCK_PASSPHRASE; -1 when it cannot be opened. */
  environment: number | null;
  /** Paths. */
  file: string | null;
  passphrases: string | null;
};

export type AutounlockSourceName =
  | 'NSECBUNKER_AUTOUNLOCK_PASSPHRASE'
  | 'NSECBUNKER_AUTOUNLOCK_PASSPHRASE_FILE'
  | 'REDOUBT_AUTOUNLOCK_PASSPHRASES_FILE';

/** What there is to unlock with. `own`: names of keys that have a passphrase of their own, by passphrase. */
export type AutounlockInspection =
  | { ok: true; from: AutounlockSourceName[]; own: string[][]; warnings: string[] }
  | { ok: false; refusal: string };

/**
 * Admin actor to unlocker, the one message on their port (`handOn` makes it). `imported`: nsec, hex or ncryptsec text
 * as bytes; `importPassphrase`: the ncryptsec's own; `newPassphrase`: what `passphrase` is to be replaced with.
 */
export interface PassphraseMessage {
  passphrase: Secret;
  imported?: Secret;
  importPassphrase?: Secret;
  newPassphrase?: Secret;
}

/** A key that may not be imported, and why not. */
export type TakenKey = { pubkey: string; refusal: string };

/** What the main thread asks of the pool; it holds no secret. `vault` comes from `intake`. */
export type UnlockTask =
  | {
      op: 'create';
      keystore: string;
      logN: number;
      name: string;
      source: PassphraseSource;
      vault: MessagePort;
      taken: TakenKey[];
    }
  | {
      op: 'unlock';
      keystore: string;
      keys: { name: string; pubkey: string }[];
      source: PassphraseSource;
      vault: MessagePort;
      /** nsecbunker.json, where keys are looked for that the keystore does not have. */
      legacy?: string;
    }
  /** `pubkey`: of the one key to be sealed anew; null for every key that the old passphrase opens. */
  | { op: 'change'; keystore: string; logN: number; pubkey: string | null; source: PassphraseSource };

/**
 * `failed`: keys that the old passphrase should have opened. Those under another passphrase are in neither. `untried`:
 * how many keys it was not tried on, for there are too many slots.
 */
export type ChangeResult =
  | { ok: true; changed: number; failed: { name: string; error: string }[]; untried?: number }
  | { ok: false; refusal: string; untried?: number };
export type CreateResult = { ok: true; pubkey: string } | { ok: false; refusal: string };
export type UnlockResult = {
  /** pubkeys that the vault now holds */
  unlocked: string[];
  /** `error`: `wrong passphrase`, `key file is damaged`, `no such key in the keystore`, ... */
  failed: { name: string; pubkey: string; error: string }[];
  /** Why no key was tried at all: the passphrase did not come, its file is missing, the pool is busy, ... */
  refusal?: string;
  /** One line each: what is not right, but did not keep it from working. */
  warnings?: string[];
  /** Keys of nsecbunker.json, whose passphrase is yet to be checked. */
  fromFile?: FromFile;
};

/** What is wrong with the keystore as a whole, or how much is in it. */
export type PrepareResult = { ok: true; keys: number; slots: number } | { ok: false; refusal: string };

type KeyRef = { name: string; pubkey: string };

/**
 * What the pool posts to its threads. A task is planned first: `plan` takes the passphrase in, says what memory each
 * part of the work needs, and hands the passphrase on to each part over a port of its own. The parts follow, as
 * memory and cores allow.
 */
export type PoolTask =
  /** Once at start: folder and modes, temporary files that a crash left behind. */
  | { op: 'prepare'; keystore: string }
  /** The file of a key that nobody has any more. */
  | { op: 'remove'; keystore: string; pubkey: string }
  /** Once at start: what autounlock is to work with. */
  | { op: 'inspect'; sources: AutounlockSources }
  | RecoverTask
  | { op: 'plan'; for: 'create'; keystore: string; logN: number; source: PassphraseSource; timeoutMs: number }
  | {
      op: 'plan';
      for: 'change';
      keystore: string;
      logN: number;
      pubkey: string | null;
      /** Derivations at logN 17, or as much work at another cost, that a change of all keys may take. */
      most: number;
      source: PassphraseSource;
      timeoutMs: number;
    }
  | {
      op: 'plan';
      for: 'unlock';
      keystore: string;
      keys: KeyRef[];
      source: PassphraseSource;
      timeoutMs: number;
      vault: MessagePort;
      legacy?: string;
    }
  | {
      op: 'create';
      keystore: string;
      logN: number;
      /** Of the most costly derivation that was planned; a slot that costs more is not tried. */
      maxLogN: number;
      /** Ids of the slots that the passphrase is tried on, besides those that came after the first `seen`. */
      slots: string[];
      seen: number;
      name: string;
      passphrase: MessagePort;
      timeoutMs: number;
      vault: MessagePort;
      taken: TakenKey[];
      lock: SharedArrayBuffer;
      /** Number of this task, as the lock's owner. */
      task: number;
    }
  | {
      op: 'change';
      keystore: string;
      logN: number;
      maxLogN: number;
      pubkey: string | null;
      /** Ids of the slots that the old passphrase is tried on, and the new one: see `create`. */
      oldSlots: string[];
      slots: string[];
      seen: number;
      passphrase: MessagePort;
      timeoutMs: number;
      lock: SharedArrayBuffer;
      task: number;
    }
  | {
      op: 'unlock';
      keystore: string;
      maxLogN: number;
      keys: KeyRef[];
      passphrase: MessagePort;
      timeoutMs: number;
      vault: MessagePort;
    };

export type CreatePlan = { ok: true; slots: string[]; seen: number; maxLogN: number; passphrase: MessagePort };
export type ChangePlan = {
  ok: true;
  parts: { oldSlots: string[]; maxLogN: number; passphrase: MessagePort }[];
  slots: string[];
  seen: number;
  untried: number;
};
export type UnlockPlan = {
  ok: true;
  parts: { keys: KeyRef[]; maxLogN: number; passphrase: MessagePort; vault: MessagePort }[];
  failed: UnlockResult['failed'];
  warnings: string[];
  fromFile?: FromFile;
};
