import type { Config } from '../config.ts';
import type { Settings } from './desk.ts';

/** What of the configuration the admin actor works with. @param advertised relays in bunker URLs, sorted */
export function adminSettings(config: Config, advertised: string[]): Settings {
  const { adminRelays, maxClockSkew, admins, limits, approvalTimeout } = config;
  const own = adminRelays.length > 0 ? adminRelays : advertised;
  const maxContent = limits.content;
  return { relays: advertised, adminRelays: [...own], maxClockSkew, admins, maxContent, approvalTimeout };
}
