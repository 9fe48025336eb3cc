/** Runs one statement in the migration's transaction; rows for a SELECT. */
export type Execute = (sql: string, params?: unknown[]) => Promise<unknown[]>;

/** What nsecbunkerd's later migrations added to tables that earlier ones had made, where it can be added in place. */
const COLUMNS = [
  ['KeyUser', 'revokedAt', 'DATETIME'],
  ['User', 'domain', "TEXT NOT NULL DEFAULT ''"],
] as const;

/**
 * Gives the tables of an older nsecbunkerd the columns that its later migrations made. Tables that are missing
 * altogether are the caller's to make. Every row stays; of the columns none goes.
 *
 * @param requestTable SQL that makes the table Request as nsecbunkerd's last migration leaves it
 */
export async function bringForward(execute: Execute, requestTable: string): Promise<void> {
  for (const [table, column, type] of COLUMNS) {
    const columns = await columnsOf(execute, table);
    if (columns.length === 0 || columns.some(({ name }) => name === column)) continue;
    await execute(`ALTER TABLE "${table}" ADD COLUMN "${column}" ${type}`);
  }
  await rebuildRequest(execute, requestTable);
}

/** Its key name was mandatory until the 17th migration, and SQLite cannot relax that in place. */
async function rebuildRequest(execute: Execute, requestTable: string): Promise<void> {
  const columns = await columnsOf(execute, 'Request');
  if (columns.find(({ name }) => name === 'keyName')?.notnull !== 1) return;
  await execute('ALTER TABLE "Request" RENAME TO "old_Request"');
  await execute(requestTable);
  const names = columns.map(({ name }) => `"${name}"`);
  // Requests that wait for an answer; those of the 14th migration do not say what for.
  const method = columns.some(({ name }) => name === 'method') ? [] : [['"method"', "''"] as const];
  const into = [...names, ...method.map(([name]) => name)];
  const from = [...names, ...method.map(([, value]) => value)];
  await execute(`INSERT INTO "Request" (${into.join(', ')}) SELECT ${from.join(', ')} FROM "old_Request"`);
  await execute('DROP TABLE "old_Request"');
}

async function columnsOf(execute: Execute, table: string): Promise<{ name: string; notnull: number }[]> {
  return (await execute('SELECT name, "notnull" FROM pragma_table_info(?)', [table])) as {
    name: string;
    notnull: number;
  }[];
}
