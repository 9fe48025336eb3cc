import { newSecret, type Secret, wipe } from '../actor/protocol.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const encoder = new TextEncoder();

/** What follows a backslash (RFC 8259, section 7), `u` excepted. */
const ESCAPES = new Map([
  [0x22, 0x22],
  [0x5c, 0x5c],
  [0x2f, 0x2f],
  [0x62, 0x08],
  [0x66, 0x0c],
  [0x6e, 0x0a],
  [0x72, 0x0d],
  [0x74, 0x09],
]);

/**
 * Decodes the JSON string that starts at `start` (its opening quote) without ever making a JavaScript string of it,
 * which could not be overwritten. A lone surrogate becomes U+FFFD, as in every UTF-8 encoder.
 *
 * @returns its text as UTF-8 bytes of their own, and where the document goes on; null when it is no JSON string
 */
export function decodeJsonString(document: Uint8Array, start: number): { bytes: Secret; end: number } | null {
  const end = endOfString(document, start);
  if (end === null) return null;
  // An escape is never shorter than what it stands for.
  const room = newSecret(end - start);
  try {
    const length = decodeInto(room, document, start + 1, end - 1);
    if (length === null) return null;
    const bytes = newSecret(length);
    bytes.set(room.subarray(0, length));
    return { bytes, end };
  } finally {
    wipe(room);
  }
}

/** Where the string that starts at `start` ends, just after its closing quote. */
export function endOfString(document: Uint8Array, start: number): number | null {
  if (document[start] !== QUOTE) return null;
  for (let at = start + 1; at < document.length; at++) {
    if (document[at] === QUOTE) return at + 1;
    if (document[at] === BACKSLASH) at++;
  }
  return null;
}

/** Writes text as the inside of a JSON string, quotes included: the inverse, for a passphrase on its way out. */
export function encodeJsonString(text: Uint8Array): Secret {
  let length = 2;
  for (const byte of text) length += byte < 0x20 ? 6 : byte === QUOTE || byte === BACKSLASH ? 2 : 1;
  const out = newSecret(length);
  let at = 0;
  out[at++] = QUOTE;
  for (const byte of text) {
    if (byte < 0x20) {
      at += encoder.encodeInto(`\\u00${byte.toString(16).padStart(2, '0')}`, out.subarray(at)).written;
      continue;
    }
    if (byte === QUOTE || byte === BACKSLASH) out[at++] = BACKSLASH;
    out[at++] = byte;
  }
  out[at] = QUOTE;
  return out;
}

function decodeInto(room: Uint8Array, document: Uint8Array, from: number, to: number): number | null {
  let written = 0;
  for (let at = from; at < to; ) {
    const byte = document[at++]!;
    if (byte < 0x20) return null;
    if (byte !== BACKSLASH) {
      room[written++] = byte;
      continue;
    }
    const escaped = document[at++]!;
    if (escaped !== 0x75) {
      const plain = ESCAPES.get(escaped);
      if (plain === undefined) return null;
      room[written++] = plain;
      continue;
    }
    let unit = hexUnit(document, at, to);
    if (unit === null) return null;
    at += 4;
    if (isHighSurrogate(unit) && document[at] === BACKSLASH && document[at + 1] === 0x75) {
      const low = hexUnit(document, at + 2, to);
      if (low !== null && isLowSurrogate(low)) {
        unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
        at += 6;
      }
    }
    written = writeUtf8(room, written, unit);
  }
  return written;
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
}

function isLowSurrogate(unit: number): boolean {
  return unit >= 0xdc00 && unit <= 0xdfff;
}

function hexUnit(document: Uint8Array, at: number, to: number): number | null {
  if (at + 4 > to) return null;
  let unit = 0;
  for (let i = at; i < at + 4; i++) {
    const digit = hexDigit(document[i]!);
    if (digit === null) return null;
    unit = unit * 16 + digit;
  }
  return unit;
}

function hexDigit(byte: number): number | null {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : null;
}

function writeUtf8(room: Uint8Array, at: number, code: number): number {
  if (code >= 0xd800 && code <= 0xdfff) return writeUtf8(room, at, 0xfffd);
  if (code < 0x80) {
    room[at] = code;
    return at + 1;
  }
  if (code < 0x800) {
    room[at] = 0xc0 | (code >> 6);
    room[at + 1] = 0x80 | (code & 0x3f);
    return at + 2;
  }
  if (code < 0x10000) {
    room[at] = 0xe0 | (code >> 12);
    room[at + 1] = 0x80 | ((code >> 6) & 0x3f);
    room[at + 2] = 0x80 | (code & 0x3f);
    return at + 3;
  }
  room[at] = 0xf0 | (code >> 18);
  room[at + 1] = 0x80 | ((code >> 12) & 0x3f);
  room[at + 2] = 0x80 | ((code >> 6) & 0x3f);
  room[at + 3] = 0x80 | (code & 0x3f);
  return at + 4;
}
