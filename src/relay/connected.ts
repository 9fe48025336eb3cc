import type { Config } from '../config.ts';

/** Outside relays that the daemon connects to, for clients or for admins. */
export function connectedRelays({ relays, adminRelays }: Config): string[] {
  return [...new Set([...relays, ...adminRelays])];
}
