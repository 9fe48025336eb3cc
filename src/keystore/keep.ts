import type { Link } from '../actor/link.ts';
import { newSecret, wipe } from '../actor/protocol.ts';
import type { UnlockerToVault, Unsealing } from './protocol.ts';

export type VaultLink = Link<UnlockerToVault, Record<never, never>>;

/**
 * Gives the vault what opens a key, in memory that moves there; the caller's own bytes stay the caller's to wipe.
 *
 * @returns false when the vault did not take it
 */
export async function keep(link: VaultLink, { sealed, slot, unsealingKey }: Unsealing): Promise<boolean> {
  const copy = newSecret(unsealingKey.length);
  copy.set(unsealingKey);
  const buffer = copy.buffer as ArrayBuffer;
  try {
    await link.ask('keep', { sealed, slot, unsealingKey: copy }, { transfer: [buffer] });
    return true;
  } catch {
    // A link that was closed already sent nothing.
    if (!buffer.detached) wipe(copy);
    return false;
  }
}
