import { newSecret, type Secret, wipe } from '../actor/protocol.ts';

const ALPHABET = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l';
const VALUES = new Int8Array(128).fill(-1);
for (let i = 0; i < 32; i++) {
  VALUES[ALPHABET.charCodeAt(i)] = i;
  VALUES[ALPHABET[i]!.toUpperCase().charCodeAt(0)] = i;
}
const GENERATOR = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3];
const CHECKSUM = 6;
/** Longest text that is looked at; NIP-19 has no use for more here. */
const MAX_LENGTH = 1000;

/**
 * Bech32 (BIP-173, without its limit of 90 characters, as NIP-19 uses it) from ASCII bytes to bytes: the libraries at
 * hand work on strings, which cannot be overwritten. The caller wipes `data`.
 *
 * @param prefixes lower-case ASCII, the ones that are wanted
 * @returns null when it is no valid bech32 text with one of them
 */
export function decodeBech32<P extends string>(
  text: Secret,
  prefixes: readonly P[],
): { prefix: P; data: Secret } | null {
  const separator = text.lastIndexOf(0x31);
  const count = text.length - separator - 1;
  if (count < CHECKSUM || text.length > MAX_LENGTH || mixesCase(text)) return null;
  const prefix = prefixes.find((wanted) => startsWith(text.subarray(0, Math.max(separator, 0)), wanted));
  if (prefix === undefined) return null;

  const words = newSecret(count);
  try {
    for (let i = 0; i < count; i++) {
      const value = VALUES[text[separator + 1 + i]!] ?? -1;
      if (value < 0) return null;
      words[i] = value;
    }
    if (checksum(prefix, words) !== 1) return null;
    const data = fromWords(words.subarray(0, count - CHECKSUM));
    return data === null ? null : { prefix, data };
  } finally {
    wipe(words);
  }
}

/** @param prefix lower-case ASCII @returns ASCII bytes, for the caller to wipe */
export function encodeBech32(prefix: string, data: Secret): Secret {
  const count = Math.ceil((data.length * 8) / 5);
  const words = newSecret(count + CHECKSUM);
  const text = newSecret(prefix.length + 1 + words.length);
  try {
    toWords(data, words);
    const sum = checksum(prefix, words) ^ 1;
    for (let i = 0; i < CHECKSUM; i++) words[count + i] = (sum >> (5 * (CHECKSUM - 1 - i))) & 31;
    for (let i = 0; i < prefix.length; i++) text[i] = prefix.charCodeAt(i);
    text[prefix.length] = 0x31;
    for (let i = 0; i < words.length; i++) text[prefix.length + 1 + i] = ALPHABET.charCodeAt(words[i]!);
    return text;
  } finally {
    wipe(words);
  }
}

/** BIP-173: 1 over a valid text; over a text with six zero words in the checksum's place, the checksum xor 1. */
function checksum(prefix: string, words: Uint8Array): number {
  let sum = 1;
  const step = (value: number) => {
    const top = sum >>> 25;
    sum = ((sum & 0x1ffffff) << 5) ^ value;
    for (let i = 0; i < 5; i++) if ((top >> i) & 1) sum ^= GENERATOR[i]!;
  };
  for (let i = 0; i < prefix.length; i++) step(prefix.charCodeAt(i) >> 5);
  step(0);
  for (let i = 0; i < prefix.length; i++) step(prefix.charCodeAt(i) & 31);
  for (const word of words) step(word);
  return sum;
}

/** Null when the padding is not four zero bits or fewer. */
function fromWords(words: Uint8Array): Secret | null {
  const bytes = newSecret(Math.floor((words.length * 5) / 8));
  let bits = 0;
  let held = 0;
  let next = 0;
  for (const word of words) {
    held = ((held << 5) | word) & 0xfff;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      bytes[next++] = held >> bits;
    }
  }
  if (bits < 5 && (held & ((1 << bits) - 1)) === 0) return bytes;
  wipe(bytes);
  return null;
}

function toWords(bytes: Uint8Array, words: Uint8Array): void {
  let bits = 0;
  let held = 0;
  let next = 0;
  for (const byte of bytes) {
    held = ((held << 8) | byte) & 0xfff;
    for (bits += 8; bits >= 5; ) {
      bits -= 5;
      words[next++] = (held >> bits) & 31;
    }
  }
  if (bits > 0) words[next] = (held << (5 - bits)) & 31;
}

/** Compares bytes, of either case: text that is no bech32 may be a secret all the same, and becomes no string. */
function startsWith(bytes: Uint8Array, prefix: string): boolean {
  return bytes.length === prefix.length && bytes.every((byte, i) => (byte | 0x20) === prefix.charCodeAt(i));
}

function mixesCase(text: Uint8Array): boolean {
  const lower = text.some((byte) => byte >= 0x61 && byte <= 0x7a);
  return lower && text.some((byte) => byte >= 0x41 && byte <= 0x5a);
}
