import type Database from 'better-sqlite3';

/** One row of the audit log as it is stored. */
export interface LogRow {
  id: number;
  timestamp: number;
  type: string;
  method: string | null;
  params: string;
  keyUserId: number | null;
  hash: string;
}

/**
 * What the journal writes, on prepared statements of the ORM's own connection (docs/STORAGE.md says what that saves).
 * Those that return a boolean are guarded: false says that the row was no longer as it was when it was decided on.
 */
export class Writes {
  readonly #db: Database.Database;
  readonly #begin: Database.Statement;
  readonly #commit: Database.Statement;
  readonly #rollback: Database.Statement;
  readonly #lastId: Database.Statement;
  readonly #log: Database.Statement;
  readonly #chargeRule: Database.Statement;
  readonly #chargeToken: Database.Statement;
  readonly #touch: Database.Statement;
  readonly #bind: Database.Statement;
  readonly #label: Database.Statement;
  readonly #invite: Database.Statement;
  readonly #setRelays: Database.Statement;
  readonly #redeem: Database.Statement;
  readonly #revoke: Database.Statement;
  readonly #revokeTokens: Database.Statement;
  readonly #revokeToken: Database.Statement;
  readonly #expireConditions: Database.Statement;
  readonly #meta: Database.Statement;
  readonly #fill: Database.Statement;
  readonly #empty: Database.Statement;
  readonly #prune: Database.Statement;

  constructor(db: Database.Database) {
    this.#db = db;
    this.#begin = db.prepare('BEGIN IMMEDIATE');
    this.#commit = db.prepare('COMMIT');
    this.#rollback = db.prepare('ROLLBACK');
    this.#lastId = db.prepare(`SELECT seq FROM sqlite_sequence WHERE name = 'Log'`).pluck();
    this.#log = db.prepare(
      'INSERT INTO "Log" (id, timestamp, type, method, params, keyUserId, hash) VALUES (?, ?, ?, ?, ?, ?, ?)',
    );
    this.#chargeRule = db.prepare(
      `UPDATE "PolicyRule" SET currentUsageCount = COALESCE(currentUsageCount, 0) + 1
        WHERE id = ? AND COALESCE(currentUsageCount, 0) < maxUsageCount`,
    );
    this.#chargeToken = db.prepare(
      `INSERT INTO "TokenRuleUsage" (tokenId, ruleId, "count") VALUES (?, ?, 1)
        ON CONFLICT (tokenId, ruleId) DO UPDATE SET "count" = "count" + 1 WHERE "count" < ?`,
    );
    this.#touch = db.prepare('UPDATE "KeyUser" SET lastUsedAt = ? WHERE id = ?');
    this.#bind = db
      .prepare(
        `INSERT INTO "KeyUser" (keyName, userPubkey, createdAt, updatedAt, lastUsedAt, description)
          VALUES (@keyName, @client, @now, @now, @now, @description)
          ON CONFLICT (keyName, userPubkey) DO UPDATE
          SET revokedAt = NULL, updatedAt = @now, lastUsedAt = @now, description = COALESCE(NULLIF(description, ''), @description)
          RETURNING id`,
      )
      .pluck();
    this.#label = db.prepare(
      `UPDATE "KeyUser" SET description = @label WHERE id = @keyUserId AND COALESCE(description, '') = ''`,
    );
    this.#invite = db
      .prepare(
        `INSERT INTO "Token" (keyName, token, clientName, createdBy, policyId, createdAt, updatedAt)
          VALUES (@keyName, @secret, @clientName, @createdBy, @policyId, @now, @now) RETURNING id`,
      )
      .pluck();
    this.#setRelays = db.prepare('UPDATE "KeyUser" SET relays = @relays, updatedAt = @now WHERE id = @keyUserId');
    this.#redeem = db.prepare(
      `UPDATE "Token" SET redeemedAt = @now, updatedAt = @now, keyUserId = @keyUserId
        WHERE id = @id AND redeemedAt IS NULL AND deletedAt IS NULL`,
    );
    this.#revoke = db.prepare(
      'UPDATE "KeyUser" SET revokedAt = @now, updatedAt = @now WHERE id = @keyUserId AND revokedAt IS NULL',
    );
    this.#revokeTokens = db.prepare(
      'UPDATE "Token" SET deletedAt = @now, updatedAt = @now WHERE keyUserId = @keyUserId AND deletedAt IS NULL',
    );
    this.#revokeToken = db.prepare(
      'UPDATE "Token" SET deletedAt = @now, updatedAt = @now WHERE id = @id AND deletedAt IS NULL',
    );
    // A date as text is greater than every number: an expiry that was written by hand is brought forward too.
    this.#expireConditions = db.prepare(
      `UPDATE "SigningCondition" SET expiresAt = @now
        WHERE keyUserId = @keyUserId AND allowed = 1 AND (expiresAt IS NULL OR expiresAt > @now)`,
    );
    this.#meta = db.prepare(
      'INSERT INTO redoubt_meta (value, name) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value',
    );
    this.#fill = db.prepare('INSERT INTO redoubt_probe (filler) VALUES (zeroblob(?))');
    this.#empty = db.prepare('DELETE FROM redoubt_probe');
    this.#prune = db.prepare('DELETE FROM "Log" WHERE id <= ?');
  }

  /** Takes the write lock. @throws SqliteError SQLITE_BUSY when another program has it. */
  begin(): void {
    this.#begin.run();
  }

  /** When it returns, the transaction is on the disk. */
  commit(): void {
    this.#commit.run();
  }

  /** Some errors have ended the transaction already. */
  rollback(): void {
    if (this.#db.inTransaction) this.#rollback.run();
  }

  /** The highest id that the audit log has ever given. */
  lastLogId(): number {
    return (this.#lastId.get() as number | undefined) ?? 0;
  }

  log(row: LogRow): void {
    this.#log.run(row.id, row.timestamp, row.type, row.method, row.params, row.keyUserId, row.hash);
  }

  chargeRule(ruleId: number): boolean {
    return this.#chargeRule.run(ruleId).changes === 1;
  }

  chargeToken(tokenId: number, ruleId: number, limit: number): boolean {
    return this.#chargeToken.run(tokenId, ruleId, limit).changes === 1;
  }

  touch(keyUserId: number, now: number): void {
    this.#touch.run(now, keyUserId);
  }

  /** Makes the KeyUser, or brings a revoked one back; its id. */
  bind(row: { keyName: string; client: string; description: string | null; now: number }): number {
    return this.#bind.get(row) as number;
  }

  /** What a client calls itself, for a binding that nobody has named. */
  label(row: { keyUserId: number; label: string }): void {
    this.#label.run(row);
  }

  /** A token's row; its id. */
  invite(row: {
    keyName: string;
    secret: string;
    clientName: string;
    createdBy: string;
    policyId: number;
    now: number;
  }): number {
    return this.#invite.get(row) as number;
  }

  /** Where a client listens, as JSON. */
  setRelays(row: { keyUserId: number; relays: string | null; now: number }): void {
    this.#setRelays.run(row);
  }

  redeem(row: { id: number; keyUserId: number; now: number }): boolean {
    return this.#redeem.run(row).changes === 1;
  }

  /** What was granted before a revocation stays dead: its tokens and its allowing conditions end with it. */
  revoke(row: { keyUserId: number; now: number }): boolean {
    const revoked = this.#revoke.run(row).changes === 1;
    this.#revokeTokens.run(row);
    this.#expireConditions.run(row);
    return revoked;
  }

  revokeToken(row: { id: number; now: number }): void {
    this.#revokeToken.run(row);
  }

  setMeta(name: string, value: string): void {
    this.#meta.run(value, name);
  }

  /** Writes pages and takes them back in one transaction: durable, and nothing is left of it. */
  probe(bytes: number): void {
    this.#fill.run(bytes);
    this.#empty.run();
  }

  prune(upTo: number, hash: string): void {
    this.#prune.run(upTo);
    this.#meta.run(String(upTo), 'cutSeq');
    this.#meta.run(hash, 'cutHash');
  }
}
