import { createHash } from 'node:crypto';
import { type Secret, wipe } from '../actor/protocol.ts';
import type { Random } from '../curve/random.ts';
import { deriveCheck, deriveKek } from './derive.ts';
import type { Slot } from './protocol.ts';
import { decodeBase64, encodeBase64 } from './schema.ts';

/** A slot for a passphrase that none stands for yet, and its KEK, for the caller to wipe. */
export function makeSlot(passphrase: Secret, logN: number, random: Random): { slot: Slot; kek: Secret } {
  const salt = encodeBase64(random(32));
  const kek = deriveKek(passphrase, { salt, logN });
  try {
    const check = encodeBase64(deriveCheck(kek));
    return { slot: { id: slotId(salt, logN), salt, logN, r: 8, p: 1, check }, kek };
  } catch (error) {
    wipe(kek);
    throw error;
  }
}

/**
 * False when salt or logN of a slot that we made are not what they were: its id is a hash of them. A slot with an id
 * of another form may be anybody's, and is not doubted.
 */
export function idHolds(slot: Slot): boolean {
  return !/^[0-9a-f]{16}$/.test(slot.id) || slot.id === slotId(slot.salt, slot.logN);
}

function slotId(salt: string, logN: number): string {
  const hash = createHash('sha256').update('redoubt slot v1').update(Uint8Array.of(logN));
  return hash.update(decodeBase64(salt, 32)!).digest('hex').slice(0, 16);
}
