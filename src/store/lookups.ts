import type Database from 'better-sqlite3';
import { readDateTime } from '../../prisma-compat/date-time.ts';
import type { Binding, Condition, KeyRecord, PolicyRecord, RuleRecord, TokenRecord } from '../policy/records.ts';

/** Of one key, told at once. */
const MOST_CLIENTS = 10_000;

/** A token as redeeming needs it. */
export interface TokenLookup {
  id: number;
  keyName: string;
  clientName: string;
  deletedAt: number | null;
  expiresAt: number | null;
  redeemedAt: number | null;
  /** Who redeemed it. */
  redeemedBy: string | null;
}

type Row = { [column: string]: number | string | null };

/**
 * Reading the rules, on prepared statements: a few microseconds a row, and a read sees what the open transaction has
 * written. Every one of them is answered by an index (docs/STORAGE.md).
 */
export class Lookups {
  readonly #version: Database.Statement;
  readonly #key: Database.Statement;
  readonly #keyUser: Database.Statement;
  readonly #conditions: Database.Statement;
  readonly #tokens: Database.Statement;
  readonly #usage: Database.Statement;
  readonly #policy: Database.Statement;
  readonly #rules: Database.Statement;
  readonly #token: Database.Statement;
  readonly #clients: Database.Statement;
  readonly #relays: Database.Statement;
  readonly #clientRelays: Database.Statement;
  readonly #bornAt: Database.Statement;
  readonly #invitations: Database.Statement;
  readonly #meta: Database.Statement;
  readonly #lastKeyUser: Database.Statement;
  readonly #label: Database.Statement;

  constructor(db: Database.Database) {
    this.#version = db.prepare('PRAGMA data_version').pluck();
    this.#key = db.prepare('SELECT pubkey, deletedAt FROM "Key" WHERE keyName = ?');
    this.#keyUser = db.prepare('SELECT id, revokedAt FROM "KeyUser" WHERE keyName = ? AND userPubkey = ?');
    this.#conditions = db.prepare(
      'SELECT id, method, kind, allowed, expiresAt FROM "SigningCondition" WHERE keyUserId = ? AND allowed IS NOT NULL ORDER BY id',
    );
    this.#tokens = db.prepare(
      'SELECT id, policyId, deletedAt, expiresAt, redeemedAt FROM "Token" WHERE keyUserId = ? AND redeemedAt IS NOT NULL',
    );
    this.#usage = db.prepare('SELECT ruleId, "count" AS used FROM "TokenRuleUsage" WHERE tokenId = ?');
    this.#policy = db.prepare('SELECT id, deletedAt, expiresAt FROM "Policy" WHERE id = ?');
    this.#rules = db.prepare(
      'SELECT id, method, kind, expiresAt, maxUsageCount, maxUsagePerToken, currentUsageCount FROM "PolicyRule" WHERE policyId = ? ORDER BY id',
    );
    this.#token = db.prepare(
      `SELECT t.id, t.keyName, t.clientName, t.deletedAt, t.expiresAt, t.redeemedAt, u.userPubkey AS redeemedBy
        FROM "Token" t LEFT JOIN "KeyUser" u ON u.id = t.keyUserId WHERE t.token = ?`,
    );
    this.#clients = db.prepare(`SELECT userPubkey FROM "KeyUser" WHERE keyName = ? LIMIT ${MOST_CLIENTS + 1}`).pluck();
    this.#relays = db.prepare('SELECT relays FROM "KeyUser" WHERE id = ?').pluck();
    this.#clientRelays = db.prepare(
      `SELECT u.keyName, u.relays FROM "KeyUser" u JOIN "Key" k ON k.keyName = u.keyName
        WHERE u.relays IS NOT NULL AND u.revokedAt IS NULL AND k.deletedAt IS NULL ORDER BY u.id`,
    );
    this.#bornAt = db.prepare('SELECT createdAt FROM "KeyUser" WHERE id = ?').pluck();
    this.#invitations = db.prepare('SELECT createdAt FROM "Token" WHERE keyUserId = ?').pluck();
    this.#meta = db.prepare('SELECT value FROM redoubt_meta WHERE name = ?').pluck();
    this.#lastKeyUser = db.prepare(`SELECT seq FROM sqlite_sequence WHERE name = 'KeyUser'`).pluck();
    this.#label = db.prepare('SELECT description FROM "KeyUser" WHERE id = ?').pluck();
  }

  /** Differs from the last time when another program has written to the file since. */
  dataVersion(): number {
    return this.#version.get() as number;
  }

  key(keyName: string): KeyRecord {
    const row = this.#key.get(keyName) as Row | undefined;
    if (row === undefined) return { pubkey: null, deletedAt: null };
    return { pubkey: row.pubkey as string, deletedAt: readDateTime(row.deletedAt) };
  }

  binding(keyName: string, client: string): Binding | null {
    const row = this.#keyUser.get(keyName, client) as Row | undefined;
    if (row === undefined) return null;
    const keyUserId = row.id as number;
    return {
      keyUserId,
      revokedAt: readDateTime(row.revokedAt),
      conditions: (this.#conditions.all(keyUserId) as Row[]).map(readCondition),
      tokens: (this.#tokens.all(keyUserId) as Row[]).sort(byRedemption).map((token) => this.#readToken(token)),
    };
  }

  policy(id: number): PolicyRecord | null {
    const row = this.#policy.get(id) as Row | undefined;
    if (row === undefined) return null;
    return {
      id,
      deletedAt: readDateTime(row.deletedAt),
      expiresAt: readDateTime(row.expiresAt),
      rules: (this.#rules.all(id) as Row[]).map(readRule),
    };
  }

  /** The secret is compared exactly, as bytes. */
  token(secret: string): TokenLookup | null {
    const row = this.#token.get(secret) as Row | undefined;
    if (row === undefined) return null;
    return {
      id: row.id as number,
      keyName: row.keyName as string,
      clientName: row.clientName as string,
      deletedAt: readDateTime(row.deletedAt),
      expiresAt: readDateTime(row.expiresAt),
      redeemedAt: readDateTime(row.redeemedAt),
      redeemedBy: row.redeemedBy as string | null,
    };
  }

  /** The highest id that a KeyUser was ever given; it grows with every new one. */
  lastKeyUser(): number {
    return (this.#lastKeyUser.get() as number | undefined) ?? 0;
  }

  /** Every client that was ever bound to the key; null where they are more than `MOST_CLIENTS`. */
  clients(keyName: string): string[] | null {
    const clients = this.#clients.all(keyName) as string[];
    return clients.length > MOST_CLIENTS ? null : clients;
  }

  /** A client's own relays, as they are stored. */
  relays(keyUserId: number): string | null {
    return (this.#relays.get(keyUserId) as string | null | undefined) ?? null;
  }

  /** The relays of all clients that have some of their own and a live binding, as they are stored; the oldest first. */
  clientRelays(): { keyName: string; relays: string }[] {
    return this.#clientRelays.all() as { keyName: string; relays: string }[];
  }

  /** When a client was last invited: its newest token was made, or else the binding. ms since the epoch */
  invitedAt(keyUserId: number): number {
    const invitations = this.#invitations.all(keyUserId) as (number | string)[];
    const dates = invitations.length > 0 ? invitations : [this.#bornAt.get(keyUserId) as number | string | null];
    return Math.max(...dates.map((date) => readDateTime(date) ?? 0));
  }

  meta(name: string): string | null {
    return (this.#meta.get(name) as string | undefined) ?? null;
  }

  /** What admins call a client. */
  label(keyUserId: number): string | null {
    return (this.#label.get(keyUserId) as string | null | undefined) ?? null;
  }

  #readToken(row: Row): TokenRecord {
    const used = new Map<number, number>();
    for (const usage of this.#usage.all(row.id) as Row[]) used.set(usage.ruleId as number, usage.used as number);
    return {
      id: row.id as number,
      policyId: row.policyId as number | null,
      deletedAt: readDateTime(row.deletedAt),
      expiresAt: readDateTime(row.expiresAt),
      used,
    };
  }
}

/** In the program, because a column may hold dates in three forms. */
function byRedemption(a: Row, b: Row): number {
  const first = (readDateTime(a.redeemedAt) as number) - (readDateTime(b.redeemedAt) as number);
  return first === 0 ? (a.id as number) - (b.id as number) : first;
}

function readCondition(row: Row): Condition {
  return {
    id: row.id as number,
    method: row.method as string | null,
    kind: row.kind as string | null,
    allowed: row.allowed === 1,
    expiresAt: readDateTime(row.expiresAt),
  };
}

function readRule(row: Row): RuleRecord {
  return {
    id: row.id as number,
    method: row.method as string,
    kind: row.kind as string | null,
    expiresAt: readDateTime(row.expiresAt),
    maxUsageCount: row.maxUsageCount as number | null,
    maxUsagePerToken: row.maxUsagePerToken as number | null,
    used: (row.currentUsageCount as number | null) ?? 0,
  };
}
