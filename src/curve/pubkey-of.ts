import type { Secret } from '../actor/protocol.ts';
import type { Curve } from './curve.ts';

/** A private key's public key in hex; null for bytes that are no private key. */
export function pubkeyOf(curve: Curve, privateKey: Secret): string | null {
  try {
    const key = curve.openKey(privateKey);
    const pubkey = Buffer.from(key.publicKey).toString('hex');
    key.wipe();
    return pubkey;
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}
