import { asSecret, newSecret, type Secret, wipe } from '../actor/protocol.ts';
import { decodeBech32 } from './bech32.ts';
import { openNcryptsec, readNcryptsec } from './nip49.ts';

/** A private key that somebody gives us; `secret` is for the caller to wipe. */
export type Imported =
  | { ok: true; form: 'plain'; privateKey: Secret }
  | { ok: true; form: 'ncryptsec'; payload: Secret; logN: number }
  | { ok: false; refusal: string };

const FORMS = 'give an nsec, an ncryptsec or 64 hex digits';

/** Reads nsec (NIP-19), hex or ncryptsec (NIP-49) text, as ASCII bytes, without ever making a string of it. */
export function parseImport(text: Secret): Imported {
  const trimmed = trim(text);
  if (trimmed.length === 64) {
    const privateKey = decodeHex(trimmed);
    if (privateKey !== null) return { ok: true, form: 'plain', privateKey };
  }
  const decoded = decodeBech32(trimmed, ['nsec', 'ncryptsec', 'npub']);
  if (decoded === null) return { ok: false, refusal: `the key to import cannot be read: ${FORMS}` };
  const { prefix, data } = decoded;
  if (prefix === 'nsec' && data.length === 32) return { ok: true, form: 'plain', privateKey: data };
  if (prefix === 'ncryptsec') {
    const head = readNcryptsec(data);
    return head.ok ? { ok: true, form: 'ncryptsec', payload: data, logN: head.logN } : head;
  }
  wipe(data);
  const what = prefix === 'npub' ? 'a public key (npub)' : 'an nsec of the wrong length';
  return { ok: false, refusal: `the key to import is ${what}: ${FORMS}` };
}

/** Whether the text is for `parseImport` an ncryptsec, which has a passphrase of its own; not whether it is a good one. */
export function isNcryptsec(text: Secret): boolean {
  const trimmed = trim(text);
  const prefix = 'ncryptsec1';
  return [...prefix].every((letter, i) => (trimmed[i]! | 0x20) === (letter.charCodeAt(0) | 0x20));
}

/** The private key of what was imported, for the caller to wipe as well as what it came from. */
export function openImport(
  imported: Imported & { ok: true },
  passphrase: Secret | undefined,
): { ok: true; privateKey: Secret } | { ok: false; refusal: string } {
  if (imported.form === 'plain') return { ok: true, privateKey: imported.privateKey };
  if (passphrase === undefined || passphrase.length === 0) {
    return { ok: false, refusal: 'an ncryptsec has a passphrase of its own: give it as well' };
  }
  const privateKey = openNcryptsec(imported.payload, passphrase);
  if (privateKey !== null) return { ok: true, privateKey };
  return { ok: false, refusal: 'wrong passphrase of the ncryptsec' };
}

export function wipeImport(imported: Imported | undefined): void {
  if (imported?.ok !== true) return;
  wipe(imported.form === 'plain' ? imported.privateKey : imported.payload);
}

function trim(text: Secret): Secret {
  const isSpace = (byte: number) => byte === 0x20 || (byte >= 0x09 && byte <= 0x0d);
  let start = 0;
  let end = text.length;
  while (start < end && isSpace(text[start]!)) start++;
  while (end > start && isSpace(text[end - 1]!)) end--;
  return asSecret(text.subarray(start, end));
}

/** 32 bytes of 64 hex digits of either case; null for anything else. */
function decodeHex(text: Secret): Secret | null {
  const bytes = newSecret(32);
  for (let i = 0; i < 64; i++) {
    const digit = hexDigit(text[i]!);
    if (digit < 0) {
      wipe(bytes);
      return null;
    }
    bytes[i >> 1] = (bytes[i >> 1]! << 4) | digit;
  }
  return bytes;
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x61 + 10 : -1;
}
