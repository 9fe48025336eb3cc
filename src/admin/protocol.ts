/** Between the main thread and the admin actor. The main thread sees ciphertext, names and public keys. */
import type { MessagePort } from 'node:worker_threads';
import type { Ask, MainProtocol, Tell } from '../actor/protocol.ts';
import type { CurveChoice } from '../curve/curve.ts';
import type { CreateResult, UnlockResult } from '../keystore/protocol.ts';
import type { LogLine, Outcome, Pairing } from '../policy/protocol.ts';

/** nsecbunker.json without its secrets (no admin.key, no key material, no passphrase). */
export type RedactedConfig = {
  /** hex */
  adminPubkeys: string[];
  adminRelays: string[];
  nostrRelays: string[];
  /** As written: a path, `file:...` or `sqlite://...`; null when the file names none. */
  database: string | null;
  keyNames: string[];
  /** Our own options, as JSON text, checked by src/config.ts. */
  redoubt: string;
  warnings: string[];
};

export type AdminOpened =
  | { ok: true; daemonPubkey: string; config: RedactedConfig }
  /** `exitCode`: 78 for a configuration that must be mended. */
  | { ok: false; refusal: string; exitCode: number };

export type MainToAdmin = MainProtocol<{
  /**
   * Reads the configuration file, takes the admin key out of it and keeps it here. `quickstart`: a data folder, in
   * which the file and what belongs to it are made first if need be. `curve`: what the environment names, which goes
   * before the file.
   */
  open: Ask<{ configPath: string; quickstart: string | null; curve: CurveChoice | null }, AdminOpened>;
  /** The port to the policy actor; a new one after its restart. */
  policy: Tell<{ port: MessagePort }>;
  /** What bunker URLs and the connection string advertise, and what clock skew is allowed (s). */
  settings: Tell<{
    relays: string[];
    adminRelays: string[];
    maxClockSkew: number;
    admins: string[];
    maxContent: number;
  }>;
  /** An event addressed to the daemon's key. `lane`: strangers' events come in a narrow one. */
  event: Tell<{ seq: number; raw: string; arrived: number; lane: 'admin' | 'stranger' }>;
  /** A fresh signed event (JSON) from the daemon to itself, which a relay that serves us must bring back. */
  probe: Ask<null, string>;
  /** Quickstart only: makes what the demonstration needs; the passphrase file is read and written by workers. */
  quickstart: Ask<{ data: string }, QuickstartMade>;
  close: Ask<null, null>;
}>;

export type QuickstartMade =
  | {
      ok: true;
      keyName: string;
      bunkerUrl: string | null;
      connectionString: string;
      redeemed: boolean;
      adminNpub: string;
      adminNsecFile: string;
      passphraseFile: string;
    }
  | { ok: false; refusal: string };

/** What the daemon tells about itself, for get_status. */
export type DaemonStatus = {
  version: string;
  uptime: number;
  keys: { total: number; unlocked: number; locked: number; active: number };
  relays: { url: string; state: string; roundTripMs: number | null }[];
  curve: string;
  requests: { [outcome: string]: number };
  latency: { p50: number; p95: number; p99: number } | null;
};

export type AdminToMain = MainProtocol<{
  /** A signed event (JSON) for all admin relays. */
  publish: Tell<{ event: string }>;
  /** Whether the event `seq` is what it claims: one for each `event`. */
  verdict: Tell<{ seq: number; ok: boolean }>;
  /**
   * Creates a sealed key, its Key row and its subscription; answered when a client could connect. `port` carries
   * the passphrase (and an imported key) to the unlocker. `pairing`: a token for it, or no key either.
   */
  createKey: Ask<{ name: string; port: MessagePort; pairing?: Pairing }, CreateResult>;
  /** Unlocks keys; answered when their subscriptions are live. `file`: a passphrase file for the unlocker to read. */
  unlockKeys: Ask<{ names: string[]; source: { port: MessagePort } | { file: string } }, UnlockResult>;
  /** Ends the key's actor and makes the vault forget it. `deleted`: from now on there are no such keys. */
  lockKeys: Ask<{ names: string[]; deleted?: true }, Outcome<number>>;
  /** Names and pubkeys of the keys that are unlocked now, which of them a thread holds, and which crashed too often. */
  unlocked: Ask<null, { name: string; pubkey: string; active: boolean; quarantined?: boolean }[]>;
  status: Ask<null, DaemonStatus>;
  log: Tell<LogLine>;
}>;
