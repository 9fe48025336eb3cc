import { isUtf8 } from 'node:buffer';
import { newSecret, type Secret, wipe } from '../actor/protocol.ts';
import { readBounded } from './read-bounded.ts';

/** Bytes; longer is no passphrase. */
export const MAX_PASSPHRASE = 4096;

export type PassphraseRead = { ok: true; passphrase: Secret; warnings: string[] } | { ok: false; refusal: string };

/** Reads a passphrase file, without the newline characters at its end. For workers only. */
export function readPassphraseFile(path: string): PassphraseRead {
  const read = readBounded(path, MAX_PASSPHRASE);
  if (!read.ok) return { ok: false, refusal: `passphrase file ${path} ${whyNot(read.why, read.code)}` };
  const { bytes, stats } = read;
  try {
    let end = bytes.length;
    while (end > 0 && (bytes[end - 1] === 0x0a || bytes[end - 1] === 0x0d)) end--;
    if (end === 0) return { ok: false, refusal: `passphrase file ${path} is empty: write the passphrase into it` };
    if (!isUtf8(bytes)) return { ok: false, refusal: `passphrase file ${path} is not UTF-8 text: save it as UTF-8` };
    const passphrase = newSecret(end);
    passphrase.set(bytes.subarray(0, end));
    const open = (stats.mode & 0o077) !== 0;
    const warning = `passphrase file ${path} can be read by group or others: set its mode to 600`;
    return { ok: true, passphrase, warnings: open ? [warning] : [] };
  } finally {
    wipe(bytes);
  }
}

function whyNot(why: 'missing' | 'unreadable' | 'not a regular file' | 'too large', code: string): string {
  switch (why) {
    case 'missing':
      return 'does not exist: create it, or give another path';
    case 'unreadable':
      return `cannot be read (${code}): see to its owner and mode`;
    case 'not a regular file':
      return 'is not a regular file: give the path of one';
    case 'too large':
      return `is larger than ${MAX_PASSPHRASE} bytes: it must have the passphrase alone in it`;
    default:
      return why satisfies never;
  }
}
