import type { Config } from '../config.ts';
import type { PolicyOpenOptions } from './protocol.ts';

/**
 * What the policy actor opens the database with.
 *
 * @param keys how many there are, in the keystore and in nsecbunker.json
 */
export function policyOptions(
  config: Config,
  daemonPubkey: string,
  keys: number,
  flags: { allowEmptyDatabase: boolean; migrate: boolean },
): PolicyOpenOptions {
  const { database, admins, maxClockSkew, auditRetentionDays, kindsNotInAll } = config;
  return {
    databasePath: database,
    maxClockSkew,
    auditRetentionDays,
    kindsNotInAll,
    reserved: [...admins, daemonPubkey],
    keysInKeystore: keys,
    ...flags,
  };
}
