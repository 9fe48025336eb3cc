import type { MessagePort } from 'node:worker_threads';
import { openLegacy } from '../../prisma-compat/open-legacy.ts';
import { type Secret, wipe } from '../actor/protocol.ts';
import { messageOn } from '../actor/secret-port.ts';
import type { Curve, PrivateKey } from '../curve/curve.ts';
import { UNANSWERED, type Unsealing, WRONG } from '../keystore/protocol.ts';
import { openSealed } from '../keystore/seal.ts';
import { deriveReplayKey } from '../nip46/envelope.ts';
import { bytesToHex } from '../nip46/hex.ts';

/** The key and the key of its replay hash, both the caller's to wipe. */
export type Opening = { ok: true; key: PrivateKey; replayKey: Secret } | { ok: false; refusal: string };

export const DAMAGED = 'key file is damaged';

/** Opens the key whose `Unsealing` the vault has put on the port. @param pubkey whose it must be; '' any */
export async function openFrom(vault: MessagePort, curve: Curve, pubkey: string): Promise<Opening> {
  const unsealing = (await messageOn(vault)) as Unsealing | null;
  if (unsealing === null) return { ok: false, refusal: UNANSWERED };
  const { sealed, slot, unsealingKey } = unsealing;
  let privateKey: Secret | null | undefined;
  try {
    privateKey = sealed.version === 1 ? openSealed({ sealed, slot, unsealingKey }) : openLegacy(sealed, unsealingKey);
    if (privateKey === null) return { ok: false, refusal: WRONG };
    const key = curve.openKey(privateKey);
    if (pubkey === '' || bytesToHex(key.publicKey) === pubkey) {
      return { ok: true, key, replayKey: deriveReplayKey(privateKey) };
    }
    key.wipe();
    return { ok: false, refusal: DAMAGED };
  } catch {
    return { ok: false, refusal: DAMAGED };
  } finally {
    wipe(unsealingKey, privateKey);
  }
}
