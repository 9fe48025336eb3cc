import { closeSync, openSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { EntityCaseNamingStrategy, MikroORM, type Options } from '@mikro-orm/sqlite';
import type Database from 'better-sqlite3';
import { databasePath } from '../../prisma-compat/database-url.ts';
import { copyAside } from './copy-aside.ts';
import { ENTITIES } from './entities.ts';
import { databaseFault } from './fault.ts';
import { type Inspected, inspectDatabase } from './inspect.ts';
import { MIGRATION_NAMES, MIGRATIONS_TABLE } from './migration-names.ts';
import { refuseEmpty } from './refuse-empty.ts';

/** An open database: the ORM, and the connection beneath it for prepared statements. One thread, one connection. */
export interface Store {
  readonly path: string;
  readonly orm: MikroORM;
  readonly db: Database.Database;
  /** Migrations of ours that the file has. */
  readonly schemaVersion: number;
  /** Whether nsecbunkerd made the file. */
  readonly origin: 'new' | 'adopted';
}

export interface StoreOptions {
  databasePath: string;
  keysInKeystore: number;
  allowEmptyDatabase: boolean;
  /** False: a file that is not up to date is refused, and not touched. Left out: true. */
  migrate?: boolean;
}

export type Opened = { ok: true; store: Store } | { ok: false; refusal: string };

/** The longest that the thread waits for another program's lock, ms; then it tries again from the event loop. */
const LOCK_WAIT_MS = 50;
/** So often, and so long apart, ms, is a database tried that another program has locked: some four seconds. */
const ATTEMPTS = 20;
const PAUSE_MS = 200;
/** How `PRAGMA synchronous` says it. */
const FULL = 2;

/** Opens, creates or adopts the database and brings it to this build's schema. Refused with a line for the operator. */
export async function openStore(options: StoreOptions): Promise<Opened> {
  const named = databasePath(options.databasePath, process.cwd());
  if (!named.ok) return { ok: false, refusal: `the database's path ${named.refusal}` };
  for (let attempt = 1; ; attempt++) {
    const opened = await tryToOpen(named.path, options);
    if (opened !== 'busy') return opened;
    if (attempt === ATTEMPTS) return cannotBeOpened(named.path, 'another program holds its lock');
    await sleep(PAUSE_MS);
  }
}

/** From the very beginning each time: what another program has written meanwhile belongs into the copy. */
async function tryToOpen(path: string, options: StoreOptions): Promise<Opened | 'busy'> {
  const found = inspectDatabase(path);
  if (!found.ok) return found;
  const refusal = refusePending(found, path, options) ?? refuseEmpty(found, path, options);
  if (refusal !== null) return { ok: false, refusal };
  try {
    if (found.state === 'missing') createFile(path);
    if (found.state === 'adoptable') {
      const copied = await copyAside(path);
      if (!copied.ok) return copied;
    }
    return await connect(path, found);
  } catch (error) {
    const fault = databaseFault(error);
    if (fault?.kind === 'busy') return 'busy';
    if (fault !== null) return cannotBeOpened(path, fault.reason);
    const code = (error as { code?: unknown }).code;
    if (typeof code !== 'string') throw error;
    if (code.startsWith('SQLITE_'))
      return {
        ok: false,
        refusal: `the database ${path} is damaged, or was altered by another program (${code}): restore a backup`,
      };
    return { ok: false, refusal: `the database ${path} cannot be opened (${code}): check its folder's owner and mode` };
  }
}

function cannotBeOpened(path: string, reason: string): Opened {
  return { ok: false, refusal: `the database ${path} cannot be opened: ${reason}` };
}

/** `--no-migrate`: an operator who wants to see what will happen to the file first. */
function refusePending(found: Inspected & { ok: true }, path: string, options: StoreOptions): string | null {
  if (options.migrate !== false) return null;
  const applied = found.state === 'ours' ? found.applied.length : 0;
  const pending = MIGRATION_NAMES.slice(applied);
  if (pending.length === 0) return null;
  return `the database ${path} needs ${pending.length} migrations (${pending.join(', ')}): start without --no-migrate`;
}

/** Tokens lie in it in plain text: nobody else reads it. SQLite gives its -wal and -shm files the same mode. */
function createFile(path: string): void {
  closeSync(openSync(path, 'wx', 0o600));
}

async function connect(path: string, found: Inspected & { ok: true }): Promise<Opened> {
  // Not MikroORM.init(): it goes looking for optional packages, and loads the whole ORM again from node_modules.
  const options: Options = {
    entities: ENTITIES,
    dbName: path,
    driverOptions: { timeout: LOCK_WAIT_MS, fileMustExist: true },
    namingStrategy: EntityCaseNamingStrategy,
    // Workers print nothing, and a logged query would show its parameters.
    logger: () => {},
    migrations: {
      tableName: MIGRATIONS_TABLE,
      transactional: true,
      allOrNothing: false,
      snapshot: false,
      silent: true,
    },
  };
  const orm = inPlainOrder(() => new MikroORM(options));
  try {
    const db = await orm.em.getConnection().getNativeClient();
    const weakness = makeDurable(db);
    if (weakness !== null) {
      await orm.close(true);
      return {
        ok: false,
        refusal: `the database ${path} cannot be made durable (${weakness}): move it to a local disk`,
      };
    }
    if (found.state !== 'ours' || found.applied.length < MIGRATION_NAMES.length) await migrate(orm);
    const origin = db.prepare(`SELECT value FROM redoubt_meta WHERE name = 'origin'`).pluck().get();
    const store = { path, orm, db, schemaVersion: MIGRATION_NAMES.length };
    return { ok: true, store: { ...store, origin: origin === 'adopted' ? 'adopted' : 'new' } };
  } catch (error) {
    await orm.close(true);
    throw error;
  }
}

/**
 * MikroORM sorts its entities by name as a language would have them, and V8 reads 4 MiB of tables for that, in 6 to 10 ms.
 * Their names are ASCII.
 */
function inPlainOrder<T>(work: () => T): T {
  const { localeCompare } = String.prototype;
  String.prototype.localeCompare = function (other) {
    return Number(String(this) > other) - Number(String(this) < other);
  };
  try {
    return work();
  } finally {
    String.prototype.localeCompare = localeCompare;
  }
}

/** Loaded only when there is something to migrate. Each migration is a transaction of its own. */
async function migrate(orm: MikroORM): Promise<void> {
  const [{ Migrator }, { MIGRATIONS }] = await Promise.all([
    import('@mikro-orm/migrations'),
    import('./migrations/list.ts'),
  ]);
  orm.config.set('migrations', { ...orm.config.get('migrations'), migrationsList: MIGRATIONS });
  await new Migrator(orm.em).up();
}

/** docs/STORAGE.md: WAL with NORMAL may lose commits in a power cut. Null when the file is as durable as it must be. */
function makeDurable(db: Database.Database): string | null {
  db.pragma('journal_mode = WAL');
  db.pragma('synchronous = FULL');
  db.pragma('fullfsync = ON');
  const mode = db.pragma('journal_mode', { simple: true });
  const synchronous = db.pragma('synchronous', { simple: true });
  if (mode === 'wal' && synchronous === FULL) return null;
  return `journal_mode ${String(mode)}, synchronous ${String(synchronous)}`;
}
