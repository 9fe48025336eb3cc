import { existsSync } from 'node:fs';
import type { Installation } from '../config/installation.ts';
import { offlineInstallation } from './offline-installation.ts';
import { Refusal } from './refusal.ts';

/** Where an installation's log is, and whose signatures count for it. @throws Refusal */
export async function auditDatabase(installation: Installation): Promise<{ database: string; daemonPubkey: string }> {
  const { config, daemonPubkey } = await offlineInstallation(installation);
  const { database } = config;
  if (existsSync(database)) return { database, daemonPubkey };
  throw new Refusal(`there is no database at ${database}: the daemon makes it when it starts`);
}
