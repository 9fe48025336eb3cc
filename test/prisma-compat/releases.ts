/** Databases as nsecbunkerd leaves them after its first 12 to all 22 of its migrations, with rows in every table. */
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { PRISMA_MIGRATIONS } from '../../prisma-compat/migrations.ts';
import { FIXTURES, folder } from '../store/folder.ts';

export const AT = 1_700_000_000_000;
export const KEY = 'a'.repeat(64);
export const CLIENT = 'b'.repeat(64);

const request = (columns: string) => `CREATE TABLE "Request" ("id" TEXT NOT NULL PRIMARY KEY, ${columns});`;
const COMMON = `"createdAt" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP, "requestId" TEXT NOT NULL, "remotePubkey" TEXT NOT NULL`;
const again = (columns: string) => `DROP TABLE "Request"; ${request(columns)}`;

/** What the migrations from the 13th on do to an empty table; rows come after the last of them. */
const STEPS: { readonly [migration: number]: string } = {
  13: 'ALTER TABLE "KeyUser" ADD COLUMN "revokedAt" DATETIME',
  14: request(`"keyName" TEXT NOT NULL, ${COMMON}`),
  15: again(`"keyName" TEXT NOT NULL, ${COMMON}, "method" TEXT NOT NULL, "params" TEXT`),
  16: 'ALTER TABLE "Request" ADD COLUMN "allowed" BOOLEAN',
  17: again(`"keyName" TEXT, ${COMMON}, "method" TEXT NOT NULL, "params" TEXT, "allowed" BOOLEAN`),
  18: 'ALTER TABLE "Request" ADD COLUMN "result" TEXT',
  19: `${again(`"keyName" TEXT, ${COMMON}, "method" TEXT NOT NULL, "params" TEXT, "allowed" BOOLEAN`)}
    CREATE TABLE "Key" ("id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, "keyName" TEXT NOT NULL,
      "createdAt" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP, "updatedAt" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
      "deletedAt" DATETIME, "pubkey" TEXT NOT NULL)`,
  20: 'CREATE UNIQUE INDEX "Key_keyName_key" ON "Key"("keyName")',
  21: `CREATE TABLE "User" ("id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, "username" TEXT NOT NULL,
      "password" TEXT NOT NULL, "email" TEXT NOT NULL, "createdAt" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
      "updatedAt" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP, "deletedAt" DATETIME, "pubkey" TEXT NOT NULL);
    CREATE UNIQUE INDEX "User_username_key" ON "User"("username")`,
  22: `DROP TABLE "User"; CREATE TABLE "User" ("id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, "username" TEXT NOT NULL,
      "domain" TEXT NOT NULL, "password" TEXT NOT NULL, "email" TEXT NOT NULL,
      "createdAt" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP, "updatedAt" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
      "deletedAt" DATETIME, "pubkey" TEXT NOT NULL);
    CREATE UNIQUE INDEX "User_username_key" ON "User"("username")`,
};

/** A row for each table that the file has; columns that it lacks are left out. */
const ROWS: { readonly [table: string]: { readonly [column: string]: unknown } } = {
  KeyUser: {
    id: 7,
    keyName: 'old',
    userPubkey: CLIENT,
    createdAt: AT,
    updatedAt: AT,
    lastUsedAt: AT,
    description: 'it',
  },
  Policy: { id: 3, name: 'p', createdAt: AT, updatedAt: AT },
  PolicyRule: { id: 5, method: 'sign_event', kind: '1', maxUsageCount: 9, currentUsageCount: 2, policyId: 3 },
  Token: {
    id: 4,
    keyName: 'old',
    token: 'c'.repeat(64),
    clientName: 'it',
    createdBy: CLIENT,
    createdAt: AT,
    updatedAt: AT,
    redeemedAt: AT,
    keyUserId: 7,
    policyId: 3,
  },
  SigningCondition: { id: 2, method: 'sign_event', kind: 'all', allowed: 0, keyUserId: 7 },
  Log: { id: 11, timestamp: AT, type: 'x', keyUserId: 7 },
  Request: {
    id: 'uuid',
    keyName: 'old',
    createdAt: AT,
    requestId: 'r',
    remotePubkey: CLIENT,
    method: 'connect',
    allowed: 1,
  },
  Key: { id: 6, keyName: 'old', createdAt: AT, updatedAt: AT, pubkey: KEY },
  User: { id: 8, username: 'u', domain: 'd', password: 'p', email: 'e', createdAt: AT, updatedAt: AT, pubkey: KEY },
};

/** @param rows false: as the program makes it at its first start */
export function release(migrations: number, { fork = false, rows = true } = {}): string {
  const path = join(folder(), 'nsecbunker.db');
  copyFileSync(join(FIXTURES, 'legacy-2023-06', 'nsecbunker.db'), path);
  const db = new Database(path);
  const applied = db.prepare(
    `INSERT INTO _prisma_migrations (id, checksum, finished_at, migration_name, started_at, applied_steps_count)
      VALUES (lower(hex(randomblob(16))), ?, ?, ?, ?, 1)`,
  );
  for (let number = 13; number <= migrations; number++) {
    db.exec(STEPS[number]!);
    const [name, checksum] = PRISMA_MIGRATIONS[number - 1]!;
    applied.run(checksum, AT, name, AT);
  }
  if (fork) {
    db.exec('ALTER TABLE "SigningCondition" ADD COLUMN "expiresAt" DATETIME');
    applied.run('0'.repeat(64), AT, '20260101000000_signing_condition_expires_at', AT);
  }
  if (rows) for (const [table, row] of Object.entries(ROWS)) insert(db, table, row);
  db.close();
  return path;
}

function insert(db: Database.Database, table: string, row: { readonly [column: string]: unknown }): void {
  const there = db.prepare('SELECT name FROM pragma_table_info(?)').pluck().all(table) as string[];
  const columns = there.filter((column) => column in row);
  if (columns.length === 0) return;
  const names = columns.map((column) => `"${column}"`).join(', ');
  db.prepare(`INSERT INTO "${table}" (${names}) VALUES (${columns.map(() => '?').join(', ')})`).run(
    ...columns.map((column) => row[column]),
  );
}

export type Dump = { [table: string]: { [column: string]: unknown }[] };

/** Every row of nsecbunkerd's tables. */
export function dump(path: string): Dump {
  const db = new Database(path, { readonly: true });
  try {
    const tables = [...Object.keys(ROWS), '_prisma_migrations'];
    const there = tables.filter((table) => db.prepare('SELECT 1 FROM pragma_table_info(?)').get(table) !== undefined);
    return Object.fromEntries(
      there.map((table) => [table, db.prepare(`SELECT * FROM "${table}" ORDER BY 1`).all() as Dump[string]]),
    );
  } finally {
    db.close();
  }
}
