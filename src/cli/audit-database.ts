import { existsSync } from 'node:fs';
import { totalmem } from 'node:os';
import { wipe } from '../actor/protocol.ts';
import { readConfigFile } from '../admin/config-file.ts';
import type { Installation } from '../config/installation.ts';
import { readConfig } from '../config.ts';
import { forcedCurve } from '../curve/forced.ts';
import { loadCurve } from '../curve/load.ts';
import { bytesToHex } from '../nip46/hex.ts';
import { EXIT, Refusal } from './refusal.ts';

/** Where an installation's log is, and whose signatures count for it. @throws Refusal */
export async function auditDatabase({
  configPath,
  data,
}: Installation): Promise<{ database: string; daemonPubkey: string }> {
  const file = readConfigFile(configPath);
  if (!file.ok) throw new Refusal(file.refusal, EXIT.configuration);
  const curve = await loadCurve(forcedCurve(process.env));
  try {
    const key = curve.openKey(file.adminKey);
    const daemonPubkey = bytesToHex(key.publicKey);
    key.wipe();
    const sources = { file: file.config, env: process.env, flags: {}, data, cwd: process.cwd(), memory: totalmem() };
    const read = readConfig(sources);
    if (!read.ok) throw new Refusal(read.refusal, EXIT.configuration);
    const { database } = read.config;
    if (existsSync(database)) return { database, daemonPubkey };
    throw new Refusal(`there is no database at ${database}: the daemon makes it when it starts`);
  } finally {
    wipe(file.adminKey);
  }
}
