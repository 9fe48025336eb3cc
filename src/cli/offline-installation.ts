import { wipe } from '../actor/protocol.ts';
import type { Installation } from '../config/installation.ts';
import type { Config } from '../config.ts';
import { forcedCurve } from '../curve/forced.ts';
import { loadCurve } from '../curve/load.ts';
import { bytesToHex } from '../nip46/hex.ts';
import { readInstallation } from './read-installation.ts';
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
export async function offlineInstallation(installation: Installation): Promise<OfflineInstallation> {
  const curve = await loadCurve(forcedCurve(process.env));
  const { config, file, adminKey, warnings, isQuickstart } = readInstallation(installation);
  try {
    const key = curve.openKey(adminKey);
    const daemonPubkey = bytesToHex(key.publicKey);
    key.wipe();
    return { ...installation, config, warnings, daemonPubkey, legacyKeys: file.keyNames, isQuickstart };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new Refusal(`${installation.configPath}: admin.key is no private key`, EXIT.configuration);
  } finally {
    wipe(adminKey);
  }
}
