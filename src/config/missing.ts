import type { Config } from '../config.ts';

/** What nobody has configured. @returns `error`: why a daemon must not start; `warning`: what it will lack */
export function missing({ admins, relays, adminRelays, embeddedRelay }: Config): {
  error: string | null;
  warning: string | null;
} {
  const deaf = relays.length + adminRelays.length === 0 && !embeddedRelay.enabled;
  const noRelay = 'there is no relay: name one under nostr.relays or in REDOUBT_RELAYS, or enable the embedded relay';
  const noAdmins =
    'there are no admins: name them under admin.npubs or in ADMIN_NPUBS, or nobody can administrate this';
  return { error: deaf ? noRelay : null, warning: admins.length === 0 ? noAdmins : null };
}
