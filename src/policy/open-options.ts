import type { Config } from '../config.ts';
import type { PolicyOpenOptions } from './protocol.ts';

/**
 * What the policy actor opens the database with.
 *
 * @param keys how many are in the keystore, and which are in nsecbunker.json
 */
export function policyOptions(
  config: Config,
  reserved: string[],
  keys: { inKeystore: number; legacy: string[] },
  flags: { allowEmptyDatabase: boolean; migrate: boolean },
): PolicyOpenOptions {
  const { database, maxClockSkew, auditRetentionDays, kindsNotInAll, askForStrangers } = config;
  return {
    databasePath: database,
    maxClockSkew,
    auditRetentionDays,
    kindsNotInAll,
    askForStrangers,
    legacyKeys: keys.legacy,
    reserved,
    keysInKeystore: keys.inKeystore + keys.legacy.length,
    ...flags,
  };
}
