import { randomUUID } from 'node:crypto';
import { Migration } from '@mikro-orm/migrations';
import { bringForward } from '../../../prisma-compat/bring-forward.ts';
import { PRISMA_MIGRATIONS } from '../../../prisma-compat/migrations.ts';

const KEY_USER_FK = 'FOREIGN KEY ("keyUserId") REFERENCES "KeyUser" ("id") ON DELETE SET NULL ON UPDATE CASCADE';
const POLICY_FK = 'FOREIGN KEY ("policyId") REFERENCES "Policy" ("id") ON DELETE SET NULL ON UPDATE CASCADE';
const DATES = `"createdAt" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP`;

const REQUEST = `CREATE TABLE IF NOT EXISTS "Request" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "keyName" TEXT,
    "createdAt" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "requestId" TEXT NOT NULL,
    "remotePubkey" TEXT NOT NULL,
    "method" TEXT NOT NULL,
    "params" TEXT,
    "allowed" BOOLEAN
)`;

const TABLES = [
  `CREATE TABLE IF NOT EXISTS "KeyUser" (
    "id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    "keyName" TEXT NOT NULL,
    "userPubkey" TEXT NOT NULL,
    ${DATES},
    "lastUsedAt" DATETIME,
    "description" TEXT,
    "revokedAt" DATETIME
)`,
  `CREATE TABLE IF NOT EXISTS "Policy" (
    "id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    "name" TEXT NOT NULL,
    ${DATES},
    "expiresAt" DATETIME,
    "deletedAt" DATETIME,
    "description" TEXT
)`,
  `CREATE TABLE IF NOT EXISTS "PolicyRule" (
    "id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    "method" TEXT NOT NULL,
    "kind" TEXT,
    "maxUsageCount" INTEGER,
    "currentUsageCount" INTEGER,
    "policyId" INTEGER,
    CONSTRAINT "PolicyRule_policyId_fkey" ${POLICY_FK}
)`,
  `CREATE TABLE IF NOT EXISTS "Token" (
    "id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    "keyName" TEXT NOT NULL,
    "token" TEXT NOT NULL,
    "clientName" TEXT NOT NULL,
    "createdBy" TEXT NOT NULL,
    ${DATES},
    "deletedAt" DATETIME,
    "expiresAt" DATETIME,
    "redeemedAt" DATETIME,
    "keyUserId" INTEGER,
    "policyId" INTEGER,
    CONSTRAINT "Token_keyUserId_fkey" ${KEY_USER_FK},
    CONSTRAINT "Token_policyId_fkey" ${POLICY_FK}
)`,
  `CREATE TABLE IF NOT EXISTS "SigningCondition" (
    "id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    "method" TEXT,
    "kind" TEXT,
    "content" TEXT,
    "keyUserKeyName" TEXT,
    "allowed" BOOLEAN,
    "keyUserId" INTEGER,
    CONSTRAINT "SigningCondition_keyUserId_fkey" ${KEY_USER_FK}
)`,
  `CREATE TABLE IF NOT EXISTS "Log" (
    "id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    "timestamp" DATETIME NOT NULL,
    "type" TEXT NOT NULL,
    "method" TEXT,
    "params" TEXT,
    "keyUserId" INTEGER,
    CONSTRAINT "Log_keyUserId_fkey" ${KEY_USER_FK}
)`,
  REQUEST,
  `CREATE TABLE IF NOT EXISTS "Key" (
    "id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    "keyName" TEXT NOT NULL,
    ${DATES},
    "deletedAt" DATETIME,
    "pubkey" TEXT NOT NULL
)`,
  `CREATE TABLE IF NOT EXISTS "User" (
    "id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    "username" TEXT NOT NULL,
    "domain" TEXT NOT NULL,
    "password" TEXT NOT NULL,
    "email" TEXT NOT NULL,
    ${DATES},
    "deletedAt" DATETIME,
    "pubkey" TEXT NOT NULL
)`,
  'CREATE UNIQUE INDEX IF NOT EXISTS "KeyUser_keyName_userPubkey_key" ON "KeyUser"("keyName", "userPubkey")',
  'CREATE UNIQUE INDEX IF NOT EXISTS "Token_token_key" ON "Token"("token")',
  'CREATE UNIQUE INDEX IF NOT EXISTS "Key_keyName_key" ON "Key"("keyName")',
  'CREATE UNIQUE INDEX IF NOT EXISTS "User_username_key" ON "User"("username")',
];

const PRISMA_BOOKKEEPING = `CREATE TABLE "_prisma_migrations" (
    "id" TEXT PRIMARY KEY NOT NULL,
    "checksum" TEXT NOT NULL,
    "finished_at" DATETIME,
    "migration_name" TEXT NOT NULL,
    "logs" TEXT,
    "rolled_back_at" DATETIME,
    "started_at" DATETIME NOT NULL DEFAULT current_timestamp,
    "applied_steps_count" INTEGER UNSIGNED NOT NULL DEFAULT 0
)`;

/** nsecbunkerd's tables as the last of its own migrations leaves them, whichever of these the file had. */
export class Tables extends Migration {
  override async up(): Promise<void> {
    const [adopted] = await this.execute(`SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'KeyUser'`);
    if (adopted !== undefined) await bringForward((sql, params) => this.execute(sql, params), REQUEST);
    for (const sql of TABLES) await this.execute(sql);
    if (adopted === undefined) await this.#prismaBookkeeping();
    await this.execute('CREATE TABLE "redoubt_meta" ("name" TEXT NOT NULL PRIMARY KEY, "value" TEXT NOT NULL)');
    const origin = adopted === undefined ? 'new' : 'adopted';
    await this.execute(`INSERT INTO "redoubt_meta" ("name", "value") VALUES ('origin', ?)`, [origin]);
  }

  /** A new file only. With it nsecbunkerd's `prisma migrate deploy` finds nothing to do; without it, it refuses. */
  async #prismaBookkeeping(): Promise<void> {
    await this.execute(PRISMA_BOOKKEEPING);
    const now = Date.now();
    for (const [name, checksum] of PRISMA_MIGRATIONS) {
      await this.execute(
        `INSERT INTO "_prisma_migrations"
          ("id", "checksum", "finished_at", "migration_name", "started_at", "applied_steps_count") VALUES (?, ?, ?, ?, ?, 1)`,
        [randomUUID(), checksum, now, name, now],
      );
    }
  }
}
