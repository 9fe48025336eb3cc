import { newSecret, type Secret, wipe } from '../actor/protocol.ts';
import type { Random } from '../curve/random.ts';
import { encodeBech32 } from './bech32.ts';
import { sealNcryptsec } from './nip49.ts';

/** How a private key leaves: as ASCII bytes, for the caller to wipe. */
export type ExportForm = { form: 'nsec' } | { form: 'hex' } | { form: 'ncryptsec'; passphrase: Secret; logN: number };

/** Writes a private key (32 bytes) as nsec (NIP-19), hex or ncryptsec (NIP-49). */
export function exportKey(privateKey: Secret, form: ExportForm, random: Random): Secret {
  if (form.form === 'nsec') return encodeBech32('nsec', privateKey);
  if (form.form === 'hex') return encodeHex(privateKey);
  const payload = sealNcryptsec(privateKey, form.passphrase, form.logN, random);
  try {
    return encodeBech32('ncryptsec', payload);
  } finally {
    wipe(payload);
  }
}

function encodeHex(bytes: Secret): Secret {
  const digit = (value: number) => value + (value < 10 ? 0x30 : 0x61 - 10);
  const text = newSecret(bytes.length * 2);
  for (let i = 0; i < bytes.length; i++) {
    text[2 * i] = digit(bytes[i]! >> 4);
    text[2 * i + 1] = digit(bytes[i]! & 15);
  }
  return text;
}
