import { existsSync } from 'node:fs';
import { relative, sep } from 'node:path';
import type { Installation } from '../config/installation.ts';
import type { Target } from '../maintenance/restore.ts';
import type { Outcome } from '../policy/protocol.ts';
import { sharedLockHolder } from '../shared-locks.ts';
import { offlineInstallation } from './offline-installation.ts';
import { Refusal } from './refusal.ts';

/**
 * Where an archive's configuration wants database and keystore. An archive may come from anywhere, and so it decides
 * on nothing outside the data folder: such places are named by the operator, in the environment or in the
 * configuration that is there already.
 *
 * @param staged the archive's configuration
 */
export async function restoreTarget(staged: string, installation: Installation): Promise<Outcome<Target>> {
  const { data, configPath } = installation;
  const archived = await locations({ configPath: staged, data });
  if (!archived.ok) {
    return { ok: false, refusal: `the configuration in the archive: ${archived.refusal.replaceAll(staged, 'it')}` };
  }
  const present = existsSync(configPath) ? await locations(installation) : null;
  const { database, keystore } = archived.value;
  const named = {
    DATABASE_URL: [database, present?.ok === true ? present.value.database : null],
    REDOUBT_KEYSTORE_DIR: [keystore, present?.ok === true ? present.value.keystore : null],
  } as const;
  for (const [variable, [path, known]] of Object.entries(named)) {
    if (isInside(data, path) || process.env[variable]?.trim() || path === known) continue;
    const what = variable === 'DATABASE_URL' ? 'database' : 'keystore';
    const refusal = `the configuration in the archive has the ${what} at ${path}, outside of ${data}: say where it belongs with ${variable}, here and for the daemon`;
    return { ok: false, refusal };
  }
  const holder = sharedLockHolder({ data, database, keystore });
  if (holder === null) return { ok: true, value: { configPath, data, database, keystore } };
  return { ok: false, refusal: `redoubt (process ${holder.pid}) runs on ${holder.of}: stop it first` };
}

async function locations(installation: Installation): Promise<Outcome<{ database: string; keystore: string }>> {
  try {
    const { config } = await offlineInstallation(installation);
    return { ok: true, value: { database: config.database, keystore: config.keystore.dir } };
  } catch (error) {
    if (error instanceof Refusal) return { ok: false, refusal: error.message };
    throw error;
  }
}

function isInside(folder: string, path: string): boolean {
  const way = relative(folder, path);
  return way !== '' && way !== '..' && !way.startsWith(`..${sep}`) && !way.startsWith(sep);
}
