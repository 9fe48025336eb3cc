import { isUtf8 } from 'node:buffer';
import { newSecret, type Secret, wipe } from '../actor/protocol.ts';
import { readBounded } from './read-bounded.ts';

/** Bytes; longer is no passphrase. */
export const MAX_PASSPHRASE = 4096;

export type PassphraseRead = { ok: true; passphrase: Secret; warnings: string[] } | { ok: false; refusal: string };

/** Reads a passphrase file, without the newline characters at its end. For workers only. */
export function readPassphraseFile(path: string): PassphraseRead {
  const read = readSecretFile(path, MAX_PASSPHRASE, 'passphrase file');
  if (!read.ok) return read;
  const { bytes, warnings } = read;
  try {
    let end = bytes.length;
    while (end > 0 && (bytes[end - 1] === 0x0a || bytes[end - 1] === 0x0d)) end--;
    if (end === 0) return { ok: false, refusal: `passphrase file ${path} is empty: write the passphrase into it` };
    if (!isUtf8(bytes)) return { ok: false, refusal: `passphrase file ${path} is not UTF-8 text: save it as UTF-8` };
    const passphrase = newSecret(end);
    passphrase.set(bytes.subarray(0, end));
    return { ok: true, passphrase, warnings };
  } finally {
    wipe(bytes);
  }
}

/** A whole file that holds secrets, for the caller to wipe, and a warning when others than its owner may read it. */
export function readSecretFile(
  path: string,
  max: number,
  what: string,
): { ok: true; bytes: Secret; warnings: string[] } | { ok: false; refusal: string } {
  const read = readBounded(path, max);
  if (!read.ok) return { ok: false, refusal: `${what} ${path} ${whyNot(read.why, read.code, max)}` };
  const open = (read.stats.mode & 0o077) !== 0;
  const warning = `${what} ${path} can be read by group or others: set its mode to 600`;
  return { ok: true, bytes: read.bytes, warnings: open ? [warning] : [] };
}

function whyNot(why: 'missing' | 'unreadable' | 'not a regular file' | 'too large', code: string, max: number): string {
  switch (why) {
    case 'missing':
      return 'does not exist: create it, or give another path';
    case 'unreadable':
      return `cannot be read (${code}): see to its owner and mode`;
    case 'not a regular file':
      return 'is not a regular file: give the path of one';
    case 'too large':
      return `is larger than ${max} bytes: it must have nothing else in it`;
    default:
      return why satisfies never;
  }
}
