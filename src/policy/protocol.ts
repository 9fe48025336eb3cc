/** What is said to and by the policy actor. Shapes only; docs/POLICY.md says what the answers mean. */
import type { Ask, MainProtocol, Tell } from '../actor/protocol.ts';
import type { StageReport } from '../metrics/stage-times.ts';
import type { Introduced, Introduction } from './introduced.ts';

/** NIP-46 methods that a rule must grant. */
export type GrantedMethod = 'sign_event' | 'nip44_encrypt' | 'nip44_decrypt' | 'nip04_encrypt' | 'nip04_decrypt';
/** NIP-46 methods that a live binding is enough for. */
export type BoundMethod = 'get_public_key' | 'ping' | 'switch_relays' | 'get_relays';

/**
 * Why a request is refused; the text is the error that the client reads, word for word. Two are never sent:
 * `no binding` (a stranger's request is dropped in silence) and `replayed` (this very event was handled before).
 */
export type Refusal =
  | 'not authorized'
  | 'revoked'
  | 'usage limit reached'
  | 'token expired'
  | 'policy expired'
  | 'token revoked'
  | 'token not found'
  | 'token already redeemed'
  | 'audit log unavailable'
  | 'no binding'
  | 'replayed';

/** `grant` names what allowed it: `rule:<id>`, `condition:<id>`, `binding`, `token:<id>`, `admin:<pubkey>`. */
export type Decision = Allowed | { ok: false; refusal: Refusal; ask?: Asking };
/** `knowsRelays`, of switch_relays: the client has the list of advertised relays already. */
export type Allowed = { ok: true; grant: string; knowsRelays?: true };

/** No rule answered: an admin may. */
export type Asking = {
  /** What admins call the client; null for a stranger. */
  label: string | null;
  stranger: boolean;
};

/** Who asks, in which event: common to all that a key actor asks. Keys and ids are lower-case hex. */
export interface Asked {
  client: string;
  requestId: string;
  /** Id of the NIP-46 event. */
  envelope: string;
  /** Keyed hash of client, request id and decrypted body: knows a retry, tells nothing to a reader of the database. */
  body: string;
  /** Monotonic ms (`Clock.mono`) after which it must not be carried out. */
  expires: number;
  /** Asked a second time because the policy actor was restarted: the same envelope is then no replay. */
  again?: boolean;
  /** An admin's pass, for what no rule answers. */
  pass?: string;
  /** Admins were asked: what no rule answers is denied. */
  final?: true;
}

export interface DecideRequest extends Asked {
  method: GrantedMethod | BoundMethod;
  /** Of the event to be signed; null for other methods. */
  kind: number | null;
  /** Id of the event to be signed. */
  eventId: string | null;
  /** The other side of a cipher. */
  peer: string | null;
  /** The key actor still holds the response to this body: check binding and grant, record and count nothing. */
  recheck: boolean;
}

export interface ConnectRequest extends Asked {
  /** The token's secret, or an empty string. */
  secret: string;
  /** What the client calls itself, cleaned: a name for the admin to read, and nothing else. */
  label?: string;
}

/** A relay wants this key's own signature (NIP-42). */
export interface RelayAuthRequest {
  /** URL */
  relay: string;
  /** Id of the event to be signed. */
  event: string;
  /** As of `Asked`. */
  expires: number;
}

/** A key actor, on a port that the policy actor knows to be that key's and no other's. */
export type KeyToPolicy = {
  decide: Ask<DecideRequest, Decision>;
  connect: Ask<ConnectRequest, Decision>;
  logout: Ask<Asked, Decision>;
  /** Allowed once it is on record. */
  relayAuth: Ask<RelayAuthRequest, Decision>;
};
export type PolicyToKey = Record<never, never>;

/** Dates are ms since the epoch. */
export type KeyRow = {
  /** 0 for a key of nsecbunker.json that was never unlocked here: it has no row, and nobody knows its pubkey. */
  id: number;
  name: string;
  /** Empty as long as nobody knows it. */
  pubkey: string;
  createdAt: number;
  deletedAt: number | null;
  lockedAt: number | null;
  userCount: number;
  tokenCount: number;
};

export type TokenRow = {
  id: number;
  keyName: string;
  keyPubkey: string | null;
  clientName: string;
  secret: string;
  policyId: number | null;
  policyName: string | null;
  createdAt: number;
  updatedAt: number;
  expiresAt: number | null;
  redeemedAt: number | null;
  /** Client pubkey that redeemed it. */
  redeemedBy: string | null;
  revokedAt: number | null;
  keyUserId: number | null;
};

export type RuleRow = {
  id: number;
  method: string;
  kind: string | null;
  maxUsageCount: number | null;
  currentUsageCount: number;
  maxUsagePerToken: number | null;
  expiresAt: number | null;
};

export type PolicyRow = {
  id: number;
  name: string;
  description: string | null;
  createdAt: number;
  updatedAt: number;
  expiresAt: number | null;
  rules: RuleRow[];
};

export type NewRule = {
  method: string;
  /** Kept as text; null for a rule without a kind. */
  kind: string | null;
  maxUsageCount: number | null;
  maxUsagePerToken: number | null;
  expiresAt: number | null;
};

/** An admin's manual override for one client. */
export type NewCondition = {
  method: string;
  kind: string | null;
  allowed: boolean;
  expiresAt: number | null;
};

/** As stored; nsecbunkerd's rows may lack anything. */
export type ConditionRow = {
  id: number;
  method: string | null;
  kind: string | null;
  content: string | null;
  keyUserKeyName: string | null;
  allowed: boolean | null;
  keyUserId: number | null;
  expiresAt: number | null;
};

export type Approval = {
  keyName: string;
  client: string;
  method: GrantedMethod | 'connect';
  kind: string | null;
  allowed: boolean;
  /** What the client is called from now on; null leaves it as it is. */
  label: string | null;
};

/** A client that was ever bound to a key. */
export type UserRow = {
  id: number;
  keyName: string;
  pubkey: string;
  /** What admins call it. */
  description: string | null;
  createdAt: number;
  lastUsedAt: number | null;
  revokedAt: number | null;
  conditions: ConditionRow[];
};

/** Rows of the audit log, the newest first. `key` is a name; pubkeys are hex. */
export type AuditFilter = {
  key: string | null;
  client: string | null;
  /** ms since the epoch */
  since: number | null;
  offset: number;
  limit: number;
};

/** A row of the audit log as it is stored. */
export type LoggedRow = {
  id: number;
  timestamp: number;
  type: string;
  method: string | null;
  /** JSON, without content or secrets. */
  params: string | null;
  keyUserId: number | null;
  hash: string | null;
};

/** What pairing a machine needs besides its key. docs/PAIRING.md */
export type Pairing = {
  /** By name; one of the ready-made ones is made, or completed, if need be. */
  policy: string;
  clientName: string;
  expiresAt: number | null;
  createdBy: string;
  /** Revokes the key's other clients, and the tokens of it that nobody has redeemed. */
  revokeOld: boolean;
};

export type Paired = { key: KeyRow; token: TokenRow };

/** Part of a list that is in the order of its ids: rows behind `after`, of which the first `offset` are passed over. */
export type Slice = { after: number; offset: number; limit: number };

/** An admin command either did it or says in one line why not. */
export type Outcome<T> = { ok: true; value: T } | { ok: false; refusal: string };

/** What the admin actor may do to the records. Every change is one transaction and in force at the next decision. */
export type AdminToPolicy = {
  /**
   * Before anything is carried out: remembers the admin's event durably. Refused `replayed` when it was carried
   * out before, in this run or an earlier one. `target` is what the method works on, never a secret.
   */
  begin: Ask<{ admin: string; event: string; method: string; target: string; createdAt: number }, Outcome<null>>;
  /** Records how it ended. */
  end: Ask<{ admin: string; event: string; method: string; target: string; outcome: string }, Outcome<null>>;
  /** An admin request that came to nothing. `genuine`: it is from `sender`; else it only says so. */
  refused: Ask<
    { sender: string; event: string; genuine: boolean; method: string | null; reason: string },
    Outcome<null>
  >;
  listKeys: Ask<null, KeyRow[]>;
  /** Of the keys that were not deleted. */
  pageKeys: Ask<Slice, KeyRow[]>;
  /** By its name, deleted ones too; its counts are 0. */
  findKey: Ask<{ name: string }, KeyRow | null>;
  /** Fails when the name is taken (deleted keys keep theirs), or the pubkey has another name or is reserved. */
  createKey: Ask<{ name: string; pubkey: string }, Outcome<KeyRow>>;
  setLocked: Ask<{ name: string; locked: boolean }, Outcome<null>>;
  listPolicies: Ask<null, PolicyRow[]>;
  pagePolicies: Ask<Slice, PolicyRow[]>;
  /** Ids of the policies of this name, deleted ones left out. */
  findPolicies: Ask<{ name: string }, number[]>;
  createPolicy: Ask<
    { name: string; description: string | null; expiresAt: number | null; rules: NewRule[] },
    Outcome<PolicyRow>
  >;
  listTokens: Ask<{ keyName: string }, TokenRow[]>;
  /** Without those that were revoked before anybody redeemed them. */
  pageTokens: Ask<{ keyName: string } & Slice, TokenRow[]>;
  createToken: Ask<
    { keyName: string; clientName: string; policyId: number; expiresAt: number | null; createdBy: string },
    Outcome<TokenRow>
  >;
  revokeToken: Ask<{ id: number }, Outcome<null>>;
  /** Whether `pair` would refuse it for its policy or its date. */
  checkPairing: Ask<Pairing, Outcome<null>>;
  /** A token for an existing key, its policy and the end of other clients: all or nothing. */
  pair: Ask<{ keyName: string; pairing: Pairing }, Outcome<Paired>>;
  /** Binds a client by a token that is redeemed in the same transaction; one that it holds already is enough. */
  introduceClient: Ask<Introduced, Outcome<Introduction>>;
  /** Nobody could tell the client: as if it had not been introduced. */
  forgetClient: Ask<Introduction, Outcome<null>>;
  /** Soft: the row keeps its name and pubkey. */
  deleteKey: Ask<{ name: string }, Outcome<null>>;
  /** Removes a deleted key with its clients and tokens; its name is free then. */
  purgeKey: Ask<{ name: string }, Outcome<null>>;
  deletePolicy: Ask<{ id: number }, Outcome<null>>;
  /** The rule that is there now: an identical one is not added twice. */
  addRule: Ask<{ policyId: number; rule: NewRule }, Outcome<RuleRow>>;
  removeRule: Ask<{ id: number }, Outcome<null>>;
  pageUsers: Ask<{ keyName: string } & Slice, UserRow[]>;
  /** Under one key, or under every key when `keyName` is null. */
  renameUser: Ask<{ pubkey: string; name: string; keyName: string | null }, Outcome<null>>;
  revokeUser: Ask<{ id: number }, Outcome<null>>;
  addCondition: Ask<{ keyUserId: number; condition: NewCondition }, Outcome<null>>;
  removeCondition: Ask<{ id: number }, Outcome<null>>;
  /**
   * What an admin decided of a client's request, for good: the client becomes a user of the key if it is none. A kind
   * is for sign_event only, as rules keep it. A stranger who may never connect is denied everything.
   */
  writeApproval: Ask<Approval, Outcome<null>>;
  /** Each pass is good for one request of this client, of this method and kind, that no rule answers. */
  passOnce: Ask<
    { passes: string[]; keyName: string; client: string; method: string; kind: number | null; admin: string },
    Outcome<null>
  >;
  listAudit: Ask<AuditFilter, Outcome<LoggedRow[]>>;
  status: Ask<null, PolicyStatus>;
};
/** The admin actor signs the head of the audit chain and keeps it (docs/POLICY.md). */
export type PolicyToAdmin = {
  /** Answered once it is kept. */
  head: Ask<{ seq: number; hash: string; cut: number; at: number }, void>;
};

export type PolicyStatus = {
  writable: boolean;
  /** ms since the epoch of the last durable audit row, null when there was none in this run. */
  lastWrite: number | null;
  /** Why the last write failed, while it does. */
  failure: string | null;
  schemaVersion: number;
  auditRows: number;
  /** Requests that wait for a decision. */
  waiting: number;
};

export type PolicyOpenOptions = {
  databasePath: string;
  /** s */
  maxClockSkew: number;
  auditRetentionDays: number;
  /** Null: what nsecbunkerd did where its installation was adopted, else what docs/POLICY.md says. */
  kindsNotInAll: number[] | null;
  /** Pubkeys that no client may decrypt from and no new key may have: admins and the daemon. */
  reserved: string[];
  /** Whether admins are asked about strangers; null: where nsecbunkerd's installation was adopted. */
  askForStrangers: boolean | null;
  /** The keystore holds keys: an empty or missing database must not be created in silence. */
  keysInKeystore: number;
  allowEmptyDatabase: boolean;
  /** Names of keys in nsecbunker.json: they are keys also before they have a row. */
  legacyKeys?: string[];
  /** False: refuse a database that needs a migration. Left out: true. */
  migrate?: boolean;
};

/** The main thread. */
export type MainToPolicy = MainProtocol<{
  /** Opens and migrates the database; refused with a line for the operator. */
  open: Ask<PolicyOpenOptions, { ok: true; schemaVersion: number } | { ok: false; refusal: string }>;
  /** A key actor's port. The policy actor answers for this key on it. */
  /** `client`: whose request comes first, so that what is known of it can be read while the key is opened. */
  attachKey: Tell<{ keyName: string; port: import('node:worker_threads').MessagePort; client: string | null }>;
  attachAdmin: Tell<{ port: import('node:worker_threads').MessagePort }>;
  keys: Ask<null, KeyRow[]>;
  /** `pairing`: in the same transaction, a token for it. */
  createKey: Ask<{ name: string; pubkey: string; pairing?: Pairing }, Outcome<KeyRow>>;
  /** Client pubkeys that are bound to the key (revoked ones too: they are owed a denial); null where they are too many to be told. */
  clients: Ask<{ keyName: string }, string[] | null>;
  /** Whether this is one of them. */
  isClient: Ask<{ keyName: string; client: string }, boolean>;
  /** Relays that clients with live bindings brought along; the oldest binding first. */
  clientRelays: Ask<null, { keyName: string; relays: string[] }[]>;
  /** As far as it is known without a write. */
  status: Ask<null, PolicyStatus>;
  /** What is configured now. `advertised`: the relays that clients are told, sorted. */
  settings: Tell<{ reserved: string[]; advertised: string[] }>;
  /** A real write, durable, that leaves nothing behind. */
  health: Ask<null, PolicyStatus>;
  /** Finishes what is queued, writes the head, closes the database. */
  close: Ask<null, null>;
}>;
export type PolicyToMain = MainProtocol<{
  /** A client was bound to a key. */
  bound: Tell<{ keyName: string; client: string }>;
  /** What `clientRelays` says may be different now. */
  clientRelaysChanged: Tell<null>;
  /** The database was changed by somebody else: forget what `clients` said. */
  forgetClients: Tell<null>;
  /** What the thread has counted since it last told. */
  times: Tell<{ report: StageReport }>;
  log: Tell<LogLine>;
}>;

/** A log line on its way to the main thread, which alone prints. No secrets: docs/SECURITY.md. */
export type LogLine = {
  level: 'debug' | 'info' | 'warn' | 'error';
  message: string;
  fields: { readonly [key: string]: string | number | boolean | null };
  /** Which part of the daemon says it; put there by the main thread. */
  module?: string;
};
