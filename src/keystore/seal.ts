import { xchacha20poly1305 } from '@noble/ciphers/chacha.js';
import { newSecret, type Secret, wipe } from '../actor/protocol.ts';
import type { SealedKey, Slot, Unsealing } from './protocol.ts';
import { decodeBase64, encodeBase64, isPubkey } from './schema.ts';

const PREFIX = new TextEncoder().encode('redoubt-key');
const VERSION = 1;

/** The sealed form of a private key (32 bytes). `nonce`: 24 random bytes, never used before. */
export function seal(
  key: { name: string; pubkey: string; privateKey: Secret },
  slot: Slot,
  unsealingKey: Secret,
  nonce: Uint8Array,
): SealedKey {
  if (key.privateKey.length !== 32) throw new RangeError('a private key has 32 bytes');
  // Bytes that held the key for a moment, before they were encrypted in place.
  const ciphertext = newSecret(48);
  const data = associatedData(key.name, key.pubkey, slot);
  xchacha20poly1305(unsealingKey, nonce, data).encrypt(key.privateKey, ciphertext);
  return {
    version: VERSION,
    name: key.name,
    pubkey: key.pubkey,
    slot: slot.id,
    nonce: encodeBase64(nonce),
    ciphertext: encodeBase64(ciphertext),
  };
}

/**
 * The private key, for the caller to wipe. Its pubkey is the caller's to compute and to compare with the file's.
 *
 * @throws Error `key file is damaged`
 */
export function openSealed({ sealed, slot, unsealingKey }: Unsealing): Secret {
  if (sealed.version !== VERSION) throw damaged();
  const nonce = decodeBase64(sealed.nonce, 24);
  const ciphertext = decodeBase64(sealed.ciphertext, 48);
  if (nonce === null || ciphertext === null || sealed.slot !== slot.id) throw damaged();
  const privateKey = newSecret(32);
  try {
    const data = associatedData(sealed.name, sealed.pubkey, slot);
    xchacha20poly1305(unsealingKey, nonce, data).decrypt(ciphertext, privateKey);
    return privateKey;
  } catch {
    wipe(privateKey);
    throw damaged();
  }
}

/** Everything that a key file and its slot say in the clear, so that none of it can be exchanged. docs/KEYSTORE.md */
export function associatedData(name: string, pubkey: string, slot: Slot): Uint8Array {
  const nameBytes = new TextEncoder().encode(name);
  const slotId = new TextEncoder().encode(slot.id);
  const salt = decodeBase64(slot.salt, 32);
  if (nameBytes.length > 0xffff || salt === null || !isPubkey(pubkey)) throw new RangeError('not a key of a keystore');
  return Uint8Array.of(
    ...PREFIX,
    VERSION,
    nameBytes.length >> 8,
    nameBytes.length & 0xff,
    ...nameBytes,
    ...Buffer.from(pubkey, 'hex'),
    ...slotId,
    slot.logN,
    ...salt,
  );
}

function damaged(): Error {
  return new Error('key file is damaged');
}
