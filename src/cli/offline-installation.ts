import { totalmem } from 'node:os';
import { wipe } from '../actor/protocol.ts';
import { readConfigFile } from '../admin/config-file.ts';
import type { Installation } from '../config/installation.ts';
import { type Config, readConfig } from '../config.ts';
import { loadCurve } from '../curve/load.ts';
import { bytesToHex } from '../nip46/hex.ts';
import { EXIT, Refusal } from './refusal.ts';

/** An installation as its files describe it, whether a daemon runs on it or not. */
export interface OfflineInstallation extends Installation {
  config: Config;
  warnings: string[];
  daemonPubkey: string;
  /** Keys that lie in nsecbunker.json itself. */
  legacyKeys: string[];
  isQuickstart: boolean;
}

/** @throws Refusal */
export async function offlineInstallation({ configPath, data }: Installation): Promise<OfflineInstallation> {
  const file = readConfigFile(configPath);
  if (!file.ok) throw new Refusal(file.refusal, EXIT.configuration);
  try {
    const sources = { file: file.config, env: process.env, flags: {}, data, cwd: process.cwd(), memory: totalmem() };
    const read = readConfig(sources);
    if (!read.ok) throw new Refusal(read.refusal, EXIT.configuration);
    const curve = await loadCurve();
    const key = curve.openKey(file.adminKey);
    const daemonPubkey = bytesToHex(key.publicKey);
    key.wipe();
    return {
      configPath,
      data,
      config: read.config,
      warnings: [...file.config.warnings, ...read.warnings],
      daemonPubkey,
      legacyKeys: file.config.keyNames,
      isQuickstart: file.quickstart,
    };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new Refusal(`${configPath}: admin.key is no private key`, EXIT.configuration);
  } finally {
    wipe(file.adminKey);
  }
}
