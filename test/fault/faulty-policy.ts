/** The policy actor's thread on a disk that fails or stands still when a transaction is to be made durable. */
import { getEnvironmentData, isMainThread } from 'node:worker_threads';
import Database from 'better-sqlite3';

/** `hang`: COMMIT returns when another order has come, and not before. */
export const COMMITS = ['sound', 'hang', 'fails', 'full'] as const;
export type Commit = (typeof COMMITS)[number];

/** Under this name threads find the place of the order in COMMITS, which all of them share. */
export const COMMIT_FAULT = 'test commit fault';

function assertCommits(orders: Int32Array): void {
  const order = (): Commit => COMMITS[Atomics.load(orders, 0)]!;
  while (order() === 'hang') Atomics.wait(orders, 0, COMMITS.indexOf('hang'));
  if (order() === 'fails') throw new Database.SqliteError('disk I/O error', 'SQLITE_IOERR_FSYNC');
  if (order() === 'full') throw new Database.SqliteError('database or disk is full', 'SQLITE_FULL');
}

if (!isMainThread) {
  const orders = getEnvironmentData(COMMIT_FAULT) as unknown as Int32Array;
  const { prepare } = Database.prototype;
  Database.prototype.prepare = function (this: Database.Database, sql: string) {
    const statement = prepare.call(this, sql) as Database.Statement;
    if (!/^\s*commit/i.test(sql)) return statement;
    const run = statement.run.bind(statement) as (...values: unknown[]) => Database.RunResult;
    statement.run = (...values: unknown[]) => {
      assertCommits(orders);
      return run(...values);
    };
    return statement;
  } as typeof prepare;
  await import('../../workers/policy.ts');
}
