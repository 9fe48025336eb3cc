import { createDecipheriv, createHash } from 'node:crypto';
import { newSecret, type Secret, wipe } from '../src/actor/protocol.ts';
import { decodeBech32 } from '../src/keystore/bech32.ts';
import type { LegacyKey } from './protocol.ts';

/** What opens a key of nsecbunker.json: SHA-256 of the passphrase as it was typed. For the caller to wipe. */
export function legacyUnsealingKey(passphrase: Secret): Secret {
  const digest = createHash('sha256').update(passphrase).digest();
  const key = newSecret(32);
  key.set(digest);
  wipe(digest);
  return key;
}

/**
 * The private key, for the caller to wipe; null when this is not what it was encrypted under. AES-256-CBC checks
 * nothing: that it was opened shows in the nsec's own checksum. Its pubkey is the caller's to compare.
 */
export function openLegacy({ iv, data }: Pick<LegacyKey, 'iv' | 'data'>, unsealingKey: Secret): Secret | null {
  const decipher = createDecipheriv('aes-256-cbc', unsealingKey, Buffer.from(iv, 'hex'));
  const head = decipher.update(Buffer.from(data, 'hex'));
  let tail: Buffer | undefined;
  let text: Secret | undefined;
  try {
    tail = decipher.final();
    text = newSecret(head.length + tail.length);
    text.set(head);
    text.set(tail, head.length);
    return nsecIn(text);
  } catch {
    // The padding is no padding.
    return null;
  } finally {
    wipe(head, tail, text);
  }
}

function nsecIn(text: Secret): Secret | null {
  const decoded = decodeBech32(text, ['nsec']);
  if (decoded === null) return null;
  if (decoded.data.length === 32) return decoded.data;
  wipe(decoded.data);
  return null;
}
