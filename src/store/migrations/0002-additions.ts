import { Migration } from '@mikro-orm/migrations';
import { ADDED_COLUMNS } from '../additions.ts';

const OURS = [
  `CREATE TABLE IF NOT EXISTS "TokenRuleUsage" (
    "tokenId" INTEGER NOT NULL,
    "ruleId" INTEGER NOT NULL,
    "count" INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY ("tokenId", "ruleId")
)`,
  // Written to and emptied again by the health check.
  'CREATE TABLE IF NOT EXISTS "redoubt_probe" ("filler" BLOB NOT NULL)',
  // Where the audit chain begins: rows up to `cutSeq` are not part of it (docs/POLICY.md).
  `INSERT INTO "redoubt_meta" ("name", "value")
    SELECT 'cutSeq', COALESCE((SELECT "seq" FROM sqlite_sequence WHERE "name" = 'Log'), 0)`,
  `INSERT INTO "redoubt_meta" ("name", "value") VALUES ('cutHash', '${'0'.repeat(64)}')`,
];

const INDEXED = [
  ['Token', 'keyUserId'],
  ['Token', 'policyId'],
  ['Token', 'keyName'],
  ['SigningCondition', 'keyUserId'],
  ['PolicyRule', 'policyId'],
  ['Log', 'timestamp'],
  ['Log', 'keyUserId'],
] as const;

/** Our nullable columns, our tables, and indexes for what the daemon asks of nsecbunkerd's. */
export class Additions extends Migration {
  override async up(): Promise<void> {
    for (const [table, column, type] of ADDED_COLUMNS) {
      const [there] = await this.execute('SELECT 1 FROM pragma_table_info(?) WHERE name = ?', [table, column]);
      if (there === undefined) await this.execute(`ALTER TABLE "${table}" ADD COLUMN "${column}" ${type}`);
    }
    for (const sql of OURS) await this.execute(sql);
    for (const [table, column] of INDEXED) {
      await this.execute(`CREATE INDEX IF NOT EXISTS "${table}_${column}_idx" ON "${table}"("${column}")`);
    }
  }
}
