import { existsSync } from 'node:fs';
import { wipe } from '../actor/protocol.ts';
import type { Installation } from '../config/installation.ts';
import { KeystoreFiles } from '../keystore/files.ts';
import { policyOptions } from '../policy/open-options.ts';
import type { PolicyOpenOptions } from '../policy/protocol.ts';
import { lockInstallation } from '../shared-locks.ts';
import { copyPath } from '../store/copy-aside.ts';
import { type Inspected, inspectDatabase } from '../store/inspect.ts';
import { MIGRATION_NAMES } from '../store/migration-names.ts';
import { refuseEmpty } from '../store/refuse-empty.ts';
import type { MigrateOptions } from './migrate.ts';
import { migrateFile } from './migrate-file.ts';
import { say, show } from './output.ts';
import { readInstallation } from './read-installation.ts';
import { EXIT, Refusal } from './refusal.ts';

interface Plan {
  database: string;
  /** Who made the file; null when there is none. */
  origin: 'nsecbunkerd' | 'redoubt' | null;
  /** Of nsecbunkerd's 22 migrations those that the file has; null where that does not matter. */
  nsecbunkerd_migrations: number | null;
  pending: string[];
  /** Where the file is copied to first; null when it is not. */
  copy: string | null;
}

/** Says what is to be migrated, and does it unless it is only asked. @throws Refusal */
export async function migrate(installation: Installation, options: MigrateOptions): Promise<void> {
  const { config, file, adminKey } = readInstallation(installation);
  wipe(adminKey);
  const keys = { inKeystore: new KeystoreFiles(config.keystore.dir).pubkeys().length, legacy: file.keyNames };
  const guard = {
    keysInKeystore: keys.inKeystore + keys.legacy.length,
    allowEmptyDatabase: options.allowEmptyDb === true,
  };
  const found = inspectDatabase(config.database);
  if (!found.ok) throw new Refusal(found.refusal);
  const refusal = refuseEmpty(found, config.database, guard);
  if (refusal !== null) throw new Refusal(refusal);
  const plan = planOf(found, config.database);
  const onlyAsked = options.check === true || options.dryRun === true;
  if (plan.pending.length === 0 || onlyAsked) {
    show({ data: { ...plan, migrated: false }, text: planText(plan) }, options.json);
    if (options.check === true && plan.pending.length > 0) process.exitCode = EXIT.failed;
    return;
  }
  if (options.json !== true) say(planText(plan));
  const { allowEmptyDatabase } = guard;
  await run(installation, policyOptions(config, [], keys, { allowEmptyDatabase, migrate: true }));
  // The very same file may have been copied by a start that did not come to its end.
  if (plan.copy !== null) plan.copy = copyPath(config.database, lastCopy(config.database));
  const text = `${config.database} is up to date${plan.copy === null ? '' : `; as it was before, it lies in ${plan.copy}`}`;
  show({ data: { ...plan, migrated: true }, text }, options.json);
}

function planOf(found: Inspected & { ok: true }, database: string): Plan {
  const adopted = found.state === 'adoptable';
  const pending = MIGRATION_NAMES.slice(found.state === 'ours' ? found.applied.length : 0);
  const origin = adopted ? 'nsecbunkerd' : found.state === 'ours' ? 'redoubt' : null;
  const copy = adopted ? copyPath(database, lastCopy(database) + 1) : null;
  return { database, origin, nsecbunkerd_migrations: adopted ? found.migrations : null, pending, copy };
}

function lastCopy(database: string): number {
  let number = 0;
  while (existsSync(copyPath(database, number + 1))) number++;
  return number;
}

function planText({ database, origin, nsecbunkerd_migrations: done, pending, copy }: Plan): string {
  if (pending.length === 0) return `${database} is up to date: there is nothing to migrate`;
  const whose =
    origin === 'nsecbunkerd'
      ? ` (nsecbunkerd made it, with ${done} of its 22 migrations; it is copied to ${copy} first)`
      : origin === null
        ? ' (it is to be made)'
        : '';
  return `${database}${whose}: to be run are ${pending.join(', ')}`;
}

/** @throws Refusal */
async function run(installation: Installation, options: PolicyOpenOptions): Promise<void> {
  const lock = lockInstallation({ data: installation.data, database: options.databasePath, keystore: null });
  if (!lock.ok) throw new Refusal(lock.refusal);
  try {
    const migrated = await migrateFile(options);
    if (!migrated.ok) throw new Refusal(migrated.refusal);
  } finally {
    lock.release();
  }
}
