import { existsSync } from 'node:fs';
import { wipe } from '../actor/protocol.ts';
import type { Installation } from '../config/installation.ts';
import { loadCurve } from '../curve/load.ts';
import { bytesToHex } from '../nip46/hex.ts';
import { readInstallation } from './read-installation.ts';
import { Refusal } from './refusal.ts';

/** Where an installation's log is, and whose signatures count for it. @throws Refusal */
export async function auditDatabase(installation: Installation): Promise<{ database: string; daemonPubkey: string }> {
  const curve = await loadCurve();
  const { config, adminKey } = readInstallation(installation);
  try {
    const key = curve.openKey(adminKey);
    const daemonPubkey = bytesToHex(key.publicKey);
    key.wipe();
    const { database } = config;
    if (existsSync(database)) return { database, daemonPubkey };
    throw new Refusal(`there is no database at ${database}: the daemon makes it when it starts`);
  } finally {
    wipe(adminKey);
  }
}
