/** Between the main thread and the admin actor. The main thread sees ciphertext, names and public keys. */
import type { MessagePort } from 'node:worker_threads';
import type { Ask, MainProtocol, Tell } from '../actor/protocol.ts';
import type { CurveChoice } from '../curve/curve.ts';
import type { ChangeResult, CreateResult, UnlockResult } from '../keystore/protocol.ts';
import type { GrantedMethod, LogLine, Outcome, Pairing } from '../policy/protocol.ts';

/** nsecbunker.json without its secrets (no admin.key, no key material, no passphrase). */
export type RedactedConfig = {
  /** hex */
  adminPubkeys: string[];
  adminRelays: string[];
  nostrRelays: string[];
  /** As written: a path, `file:...` or `sqlite://...`; null when the file names none. */
  database: string | null;
  keyNames: string[];
  /** Those of them that lie there unencrypted (nsecbunkerd's recoverable keys). */
  plainKeyNames: string[];
  /** Our own options, as JSON text, checked by src/config.ts. */
  redoubt: string;
  warnings: string[];
};

export type AdminOpened =
  | { ok: true; daemonPubkey: string; config: RedactedConfig }
  /** `exitCode`: 78 for a configuration that must be mended. */
  | { ok: false; refusal: string; exitCode: number };

/** `keyChanged`: the file names another key for the daemon. */
export type AdminReread = { ok: true; config: RedactedConfig; keyChanged: boolean } | { ok: false; refusal: string };

export type MainToAdmin = MainProtocol<{
  /**
   * Reads the configuration file, takes the admin key out of it and keeps it here. `quickstart`: a data folder, in
   * which the file and what belongs to it are made first if need be. `curve`: what the environment names, which goes
   * before the file.
   */
  open: Ask<{ configPath: string; quickstart: string | null; curve: CurveChoice | null }, AdminOpened>;
  /** The port to the policy actor; a new one after its restart. */
  policy: Tell<{ port: MessagePort }>;
  /** What bunker URLs and the connection string advertise, and what clock skew is allowed (s). Answered when connection.txt says so. */
  settings: Ask<
    {
      relays: string[];
      adminRelays: string[];
      maxClockSkew: number;
      admins: string[];
      maxContent: number;
      /** A client's URI may name relays at private addresses. */
      allowPrivateRelays: boolean;
      /** Every relay that the configuration names. */
      configured: string[];
      /** ms that admins have to decide on a client's request */
      approvalTimeout: number;
    },
    null
  >;
  /** Reads the file again; the daemon's own key stays what it was. */
  reread: Ask<null, AdminReread>;
  /** A key actor's port (KeyToAdmin), known to be this key's and no other's. */
  attachKey: Tell<{ keyName: string; port: MessagePort }>;
  /** An event addressed to the daemon's key. `lane`: strangers' events come in a narrow one. */
  event: Tell<{ seq: number; raw: string; arrived: number; lane: 'admin' | 'stranger' }>;
  /** A fresh signed event (JSON) from the daemon to itself, which a relay that serves us must bring back. */
  probe: Ask<null, string>;
  /** NIP-42's event (JSON) of the daemon's key, for a relay that the configuration names; null for any other. */
  authenticate: Ask<{ relay: string; challenge: string }, string | null>;
  /** Quickstart only: makes what the demonstration needs; the passphrase file is read and written by workers. */
  quickstart: Ask<{ data: string }, QuickstartMade>;
  /** The daemon is stopping: requests that wait for an admin are refused. */
  stopAsking: Tell<null>;
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

/** How far the unlocking of keys at start has come. `complete`: every key that should be is unlocked. */
export type AutounlockState = { complete: boolean; unlocked: number; total: number; reasons: string[] };

/** What the daemon tells about itself, for get_status. */
export type DaemonStatus = {
  version: string;
  uptime: number;
  keys: { total: number; unlocked: number; locked: number; active: number };
  /** Crashed too often, or their files are damaged. */
  quarantined: { key: string; reason: string }[];
  /** `reason`: why it is not ready. */
  relays: { url: string; state: string; reason: string | null; roundTripMs: number | null; reconnects: number }[];
  /** Relays that clients brought along. */
  clientRelays?: { url: string; state: string; keys: number }[];
  curve: string;
  requests: { [outcome: string]: number };
  latency: { p50: number; p95: number; p99: number } | null;
  /** Requests that wait for a key's thread, responses that wait for a relay. */
  queues: { keys: number; publish: number };
  /** How often keys got a thread, gave it back, lost it. */
  threads: { activations: number; passivations: number; crashes: number };
  autounlock: AutounlockState | null;
};

export type AdminToMain = MainProtocol<{
  /** A signed event (JSON) for all admin relays. */
  publish: Tell<{ event: string }>;
  /** Whether the event `seq` is what it claims: one for each `event`. */
  verdict: Tell<{ seq: number; ok: boolean }>;
  /** A request came to nothing; metrics count it by reason. */
  dropped: Tell<{ reason: string }>;
  /**
   * Creates a sealed key, its Key row and its subscription; answered when a client could connect. `port` carries
   * the passphrase (and an imported key: `imports`) to the unlocker. `pairing`: a token for it, or no key either.
   */
  createKey: Ask<{ name: string; port: MessagePort; pairing?: Pairing; imports?: boolean }, CreateResult>;
  /** Seals one key anew under another passphrase, or (null) every key that the old one opens. */
  changePassphrase: Ask<{ name: string | null; port: MessagePort }, ChangeResult>;
  /** Removes the sealed file of a deleted key. */
  purgeKey: Ask<{ name: string; pubkey: string }, Outcome<null>>;
  /** Unlocks keys; answered when their subscriptions are live. `file`: a passphrase file for the unlocker to read. */
  unlockKeys: Ask<{ names: string[]; source: { port: MessagePort } | { file: string } }, UnlockResult>;
  /**
   * Ends the key's actor and makes the vault forget it. `deleted`: from now on there are no such keys. `every`: all that
   * there are, whatever `names` says, those too that are only being opened.
   */
  lockKeys: Ask<{ names: string[]; deleted?: true; every?: true }, Outcome<number>>;
  /** Has an unlocked key served on the relays of a client, one of them at least, until `tellClient` or `leaveClient`. */
  reachClient: Ask<{ keyName: string; client: string; relays: string[] }, Outcome<null>>;
  /** Sends the client its connect response. `secret`: the port, for the key's thread, on which the URI's secret waits. */
  tellClient: Ask<{ keyName: string; client: string; relays: string[]; secret: MessagePort }, Outcome<null>>;
  leaveClient: Tell<{ keyName: string; client: string }>;
  /** Names and pubkeys of the keys that are unlocked now, which of them a thread holds, and which crashed too often. */
  unlocked: Ask<null, { name: string; pubkey: string; active: boolean; quarantined?: boolean }[]>;
  status: Ask<null, DaemonStatus>;
  log: Tell<LogLine>;
}>;

/** What a client asks for and no rule answers. Plaintext of a request: it goes from key actor to admin actor only. */
export type ApprovalQuestion = {
  client: string;
  method: GrantedMethod | 'connect';
  /** Of the event to be signed; null for other methods. */
  kind: number | null;
  /** What the admins are shown. */
  param: string;
  /** Who the client is said to be. */
  description: string;
  /** Nobody has bound this client. */
  stranger: boolean;
  /** Hash of all parameters: requests with the same are one question. */
  subject: string;
};

/** `again`: the rules are to be asked again, with the pass if there is one. */
export type ApprovalAnswer = { verdict: 'no' } | { verdict: 'again'; pass: string | null };

/** A key actor, on a port of its own. */
export type KeyToAdmin = { approve: Ask<ApprovalQuestion, ApprovalAnswer> };
export type AdminToKey = Record<never, never>;
