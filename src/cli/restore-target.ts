import { existsSync } from 'node:fs';
import { relative, sep } from 'node:path';
import type { Installation } from '../config/installation.ts';
import type { Located } from '../maintenance/restore.ts';
import { policyOptions } from '../policy/open-options.ts';
import type { Outcome } from '../policy/protocol.ts';
import { sharedLockHolder } from '../shared-locks.ts';
import { type OfflineInstallation, offlineInstallation } from './offline-installation.ts';
import { Refusal } from './refusal.ts';

/**
 * Where an archive's configuration wants database and keystore. An archive may come from anywhere, and so it decides
 * on nothing outside the data folder: such places are named by the operator, in the environment or in the
 * configuration that is there already.
 *
 * @param staged the archive's configuration
 */
export async function restoreTarget(staged: string, installation: Installation): Promise<Outcome<Located>> {
  const { data, configPath } = installation;
  const archived = await read({ configPath: staged, data });
  if (!archived.ok) {
    return { ok: false, refusal: `the configuration in the archive: ${archived.refusal.replaceAll(staged, 'it')}` };
  }
  const present = existsSync(configPath) ? await read(installation) : null;
  const { config, legacyKeys } = archived.value;
  const [database, keystore] = [config.database, config.keystore.dir];
  const named = {
    DATABASE_URL: [database, present?.ok === true ? present.value.config.database : null],
    REDOUBT_KEYSTORE_DIR: [keystore, present?.ok === true ? present.value.config.keystore.dir : null],
  } as const;
  for (const [variable, [path, known]] of Object.entries(named)) {
    if (isInside(data, path) || process.env[variable]?.trim() || path === known) continue;
    const what = variable === 'DATABASE_URL' ? 'database' : 'keystore';
    const refusal = `the configuration in the archive has the ${what} at ${path}, outside of ${data}: say where it belongs with ${variable}, here and for the daemon`;
    return { ok: false, refusal };
  }
  const holder = sharedLockHolder({ data, database, keystore });
  if (holder !== null) {
    return { ok: false, refusal: `redoubt (process ${holder.pid}) runs on ${holder.of}: stop it first` };
  }
  const { migrateFile } = await import('./migrate-file.ts');
  const bringForward = (file: string) => {
    const keys = { inKeystore: 0, legacy: legacyKeys };
    const options = policyOptions(config, [], keys, { allowEmptyDatabase: true, migrate: true });
    return migrateFile({ ...options, databasePath: file });
  };
  const target = { configPath, data, database, keystore };
  const warnings = await adminWarnings(config.admins, present);
  return { ok: true, value: { target, legacyKeys, warnings, bringForward } };
}

async function read(installation: Installation): Promise<Outcome<OfflineInstallation>> {
  try {
    return { ok: true, value: await offlineInstallation(installation) };
  } catch (error) {
    if (error instanceof Refusal) return { ok: false, refusal: error.message };
    throw error;
  }
}

/** Who was taken out of the configuration since the archive was made is back in it after the restore. */
async function adminWarnings(
  archived: readonly string[],
  present: Outcome<OfflineInstallation> | null,
): Promise<string[]> {
  if (present === null) return [];
  if (!present.ok) return [`${present.refusal}; whether the archive brings back an admin who was removed is not known`];
  const back = archived.filter((pubkey) => !present.value.config.admins.includes(pubkey));
  if (back.length === 0) return [];
  const { npubEncode } = await import('../admin/npub.ts');
  return [`admins whom only the archive names, and who administrate again: ${back.map(npubEncode).join(', ')}`];
}

function isInside(folder: string, path: string): boolean {
  const way = relative(folder, path);
  return way !== '' && way !== '..' && !way.startsWith(`..${sep}`) && !way.startsWith(sep);
}
