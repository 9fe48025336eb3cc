import type { Config } from '../config.ts';
import type { Settings } from './desk.ts';

/** What the admin actor has to know of the configuration. @param advertised relays in bunker URLs */
export function adminSettings(config: Config, advertised: string[]): Settings {
  const { adminRelays, relays, maxClockSkew, admins, limits, approvalTimeout, allowPrivateRelays } = config;
  return {
    relays: advertised,
    adminRelays: adminRelays.length > 0 ? [...adminRelays] : advertised,
    maxClockSkew,
    admins,
    maxContent: limits.content,
    approvalTimeout,
    allowPrivateRelays,
    configured: [...relays, ...adminRelays],
  };
}
