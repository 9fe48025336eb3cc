/** Bounds of files and of secrets in text (docs/CONFIGURATION.md, docs/KEYSTORE.md). */
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import * as nip19 from 'nostr-tools/nip19';
import { asSecret } from '../../../src/actor/protocol.ts';
import { readConfigFile } from '../../../src/admin/config-file.ts';
import { readSecretText } from '../../../src/cli/secret-text.ts';
import { KeystoreFiles } from '../../../src/keystore/files.ts';
import { parseImport } from '../../../src/keystore/import.ts';
import { readPassphraseFile } from '../../../src/keystore/passphrase-file.ts';
import { readPassphrasesFile } from '../../../src/keystore/passphrases-file.ts';
import { parseSealedKey, parseSlots } from '../../../src/keystore/schema.ts';
import { openSealed, seal } from '../../../src/keystore/seal.ts';
import type { Bound } from './bound.ts';

const folder = mkdtempSync(join(tmpdir(), 'redoubt-bounds-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const PUBKEY = 'ab'.repeat(32);
const encode = (text: string) => asSecret(new TextEncoder().encode(text));

/** A file of this size, with blanks after its text; huge ones are holes, which take no room. */
function file(name: string, text: string, size = text.length): string {
  const path = join(folder, name);
  writeFileSync(path, size < 2 ** 25 ? text.padEnd(size) : text, { mode: 0o600 });
  if (size >= 2 ** 25) truncateSync(path, size);
  return path;
}

const base64 = (size: number) => Buffer.alloc(size, 1).toString('base64');
const SLOT = { id: 'slot', salt: base64(32), logN: 17, r: 8 as const, p: 1 as const, check: base64(32) };
const KEY = { version: 1, name: 'k', pubkey: PUBKEY, slot: 'slot', nonce: base64(24), ciphertext: base64(48) };
const slots = (change: object) =>
  parseSlots(encode(JSON.stringify({ version: 1, slots: [{ ...SLOT, ...change }] }))) !== null;
const ncryptsec = (logN: number) =>
  nip19.encodeBytes('ncryptsec', Buffer.concat([Uint8Array.of(2, logN), new Uint8Array(89)]));

/** A key under a name of this length is sealed, written, read and opened. */
function roundTrip(length: number): boolean {
  const privateKey = asSecret(new Uint8Array(32).fill(9));
  const unsealingKey = asSecret(new Uint8Array(32).fill(8));
  try {
    // Its bytes in UTF-8 count, and each of these has three.
    const name = '\u2028'.repeat(Math.floor(length / 3)) + 'x'.repeat(length % 3);
    const sealed = seal({ name, pubkey: PUBKEY, privateKey }, SLOT, unsealingKey, new Uint8Array(24));
    const read = parseSealedKey(encode(JSON.stringify(sealed)));
    return read !== null && openSealed({ sealed: read, slot: SLOT, unsealingKey }).length === 32;
  } catch (error) {
    if (error instanceof RangeError && error.message === 'not a key of a keystore') return false;
    throw error;
  }
}

async function typed(size: number): Promise<boolean> {
  const terminal = { stdin: Readable.from([Buffer.alloc(size, 'x')]), stderr: { write: () => true } };
  try {
    return (await readSecretText('passphrase', undefined, { option: '--x' }, terminal)).length === size;
  } catch {
    return false;
  }
}

export const FILES: readonly Bound[] = [
  {
    what: 'nsecbunker.json (bytes)',
    limit: 64 * 2 ** 20,
    passes(n) {
      const read = readConfigFile(file('nsecbunker.json', '{}', n));
      return !read.ok && !read.refusal.includes('is larger than');
    },
  },
  {
    what: 'keystore.json (bytes)',
    limit: 8 * 2 ** 20,
    passes: (n) =>
      !!file('keystore.json', JSON.stringify({ version: 1, slots: [SLOT] }), n) && new KeystoreFiles(folder).slots().ok,
  },
  {
    what: 'key file (bytes)',
    limit: 512 * 2 ** 10,
    passes: (n) => !!file(`${PUBKEY}.json`, JSON.stringify(KEY), n) && new KeystoreFiles(folder).key(PUBKEY).ok,
  },
  { what: 'name in a key file (bytes)', limit: 65_535, passes: roundTrip },
  { what: 'id of a slot', limit: 64, passes: (n) => slots({ id: 'x'.repeat(n) }) },
  { what: 'id of a slot, least', limit: 1, least: true, passes: (n) => slots({ id: 'x'.repeat(n) }) },
  { what: 'scrypt logN', limit: 22, passes: (logN) => slots({ logN }) },
  { what: 'scrypt logN, least', limit: 14, least: true, passes: (logN) => slots({ logN }) },
  { what: 'log_n of an ncryptsec', limit: 22, passes: (n) => parseImport(encode(ncryptsec(n))).ok },
  { what: 'log_n of an ncryptsec, least', limit: 14, least: true, passes: (n) => parseImport(encode(ncryptsec(n))).ok },
  {
    what: 'bech32 text to import',
    limit: 1_000,
    passes(n) {
      // No bytes make 1,001 characters: the next longer text has 1,002.
      const bytes = ((n - 'nsec1'.length - 6) * 5) / 8;
      const text = nip19.encodeBytes('nsec', new Uint8Array(n > 1_000 ? Math.ceil(bytes) : Math.floor(bytes)));
      const read = parseImport(encode(text));
      return !read.ok && !read.refusal.includes('cannot be read');
    },
  },
  {
    what: 'passphrase file (bytes)',
    limit: 4_096,
    passes: (n) => readPassphraseFile(file('passphrase', 'x'.repeat(n))).ok,
  },
  {
    what: 'passphrase file, least',
    limit: 1,
    least: true,
    passes: (n) => readPassphraseFile(file('passphrase', 'x'.repeat(n))).ok,
  },
  {
    what: 'passphrases file (bytes)',
    limit: 16 * 2 ** 20,
    passes: (n) => readPassphrasesFile(file('passphrases', '{"k":"pass"}', n)).ok,
  },
  {
    what: 'passphrase in a passphrases file',
    limit: 4_096,
    passes: (n) => readPassphrasesFile(file('passphrases', `{"k":"${'x'.repeat(n)}"}`)).ok,
  },
  { what: 'passphrase on standard input', limit: 4_096, passes: typed },
  { what: 'passphrase on standard input, least', limit: 1, least: true, passes: typed },
];
