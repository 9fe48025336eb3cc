/** Files that an operator, a backup or a thief with write access put there: configuration, keystore, passphrases. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import * as nip19 from 'nostr-tools/nip19';
import * as assert from 'uvu/assert';
import * as z from 'zod';
import { wipe } from '../../../src/actor/protocol.ts';
import { readConfigFile } from '../../../src/admin/config-file.ts';
import { KeystoreFiles } from '../../../src/keystore/files.ts';
import { readPassphraseFile } from '../../../src/keystore/passphrase-file.ts';
import { readPassphrasesFile, wipeEntries } from '../../../src/keystore/passphrases-file.ts';
import { bytesOf, CANARY, CANARY_KEY, hasTrace, type Input, type Layer } from '../layer.ts';
import { mutatedBytes, mutatedJson, mutatedText, rawText } from '../mutate.ts';
import { depthOf, naiveJson } from './naive-json.ts';

const folder = mkdtempSync(join(tmpdir(), 'redoubt-fuzz-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

function written(name: string, input: Input): string {
  const path = join(folder, name);
  writeFileSync(path, bytesOf(input), { mode: 0o600 });
  return path;
}

const PUBKEY = 'ab'.repeat(32);
const npub = nip19.npubEncode(PUBKEY);
const nsec = nip19.nsecEncode(Buffer.from(CANARY_KEY, 'hex'));

const CONFIGS = [
  {
    admin: { key: CANARY_KEY, npubs: [npub, PUBKEY], adminRelays: ['wss://a.example'], notifyAdminsOnBoot: true },
    nostr: { relays: ['wss://r.example', 'ws://127.0.0.1:80'] },
    database: 'sqlite://nsecbunker.db',
    keys: { one: { iv: 'aa', data: CANARY }, two: { key: CANARY } },
    domains: { 'example.com': { wallet: { lnbits: { key: CANARY, url: 'https://x.example' } } } },
    baseUrl: null,
    authPort: 3000,
    verbose: false,
    redoubt: { log: { level: 'debug' }, quickstart: false },
  },
  { admin: { key: nsec }, version: '0.10.5' },
];

const relays = z.array(z.string().refine((text) => /^wss?:\/\/[^\s,]+$/.test(text) && URL.canParse(text)));
// In lower case: nobody writes one in capitals but a QR code, and the refusal names the place.
const admins = z.array(
  z.string().refine((text) => /^[0-9a-fA-F]{64}$/.test(text) || (text.startsWith('npub1') && decodes('npub', text))),
);
const privateKey = z.string().refine((text) => {
  const trimmed = text.replace(/^[ \t-\r]+|[ \t-\r]+$/g, '');
  return /^[0-9a-fA-F]{64}$/.test(trimmed) || (trimmed.length <= 1_000 && decodes('nsec', trimmed));
});
const objects = z.record(z.string(), z.looseObject({}));
const config = z.looseObject({
  admin: z.looseObject({
    key: privateKey,
    npubs: admins.optional(),
    adminRelays: relays.optional(),
    notifyAdminsOnBoot: z.boolean().optional(),
  }),
  nostr: z.looseObject({ relays: relays.optional() }).optional(),
  database: z.string().optional(),
  logs: z.string().optional(),
  verbose: z.boolean().optional(),
  keys: objects.optional(),
  baseUrl: z.string().nullish(),
  authPort: z.int().nullish(),
  authHost: z.string().nullish(),
  domains: objects.nullish(),
  redoubt: z.looseObject({ quickstart: z.boolean().optional() }).optional(),
});

function decodes(prefix: 'npub' | 'nsec', text: string): boolean {
  try {
    return (nip19.decode(text) as { type: string }).type === prefix;
  } catch {
    return false;
  }
}

const configFiles: Layer = {
  name: 'nsecbunker.json',
  inputs: fc.oneof({ weight: 9, arbitrary: mutatedJson(CONFIGS) }, { weight: 1, arbitrary: rawText }),
  judge(input) {
    const path = written('nsecbunker.json', input);
    const read = readConfigFile(path);
    if (!read.ok) return { outcome: read.refusal.slice(path.length + 2), said: [read.refusal], size: 0 };
    wipe(read.adminKey);
    const kept = JSON.stringify({ ...read.config, warnings: [] });
    assert.not.ok(hasTrace(kept), 'a secret has become a string');
    return { outcome: 'accepted', said: read.config.warnings, size: kept.length };
  },
  isValid: (input) => isJson(input, config),
};

const base64 = (length: number) =>
  z.string().refine((text) => {
    const bytes = Buffer.from(text, 'base64');
    return bytes.length === length && bytes.toString('base64') === text;
  });
const slotId = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/);
const slots = z.strictObject({
  version: z.literal(1),
  slots: z
    .array(
      z.strictObject({
        id: slotId,
        salt: base64(32),
        logN: z.int().min(14).max(22),
        r: z.literal(8),
        p: z.literal(1),
        check: base64(32),
      }),
    )
    .refine((list) => new Set(list.map(({ id }) => id)).size === list.length),
});
const keyFile = z.strictObject({
  version: z.literal(1),
  name: z.string().refine((name) => Buffer.byteLength(name) <= 65_535),
  pubkey: z.literal(PUBKEY),
  slot: slotId,
  nonce: base64(24),
  ciphertext: base64(48),
});

const bytes = (size: number) => Buffer.alloc(size, 0x5a).toString('base64');
const SLOT = { id: '0123456789abcdef', salt: bytes(32), logN: 17, r: 8, p: 1, check: bytes(32) };
const KEY = { version: 1, name: 'key', pubkey: PUBKEY, slot: SLOT.id, nonce: bytes(24), ciphertext: bytes(48) };
/** What would take all memory, or for ever, if scrypt were asked. */
const HOSTILE = [{ logN: 13 }, { logN: 23 }, { logN: 31 }, { logN: 63 }, { r: 2 ** 30 }, { p: 2 ** 24 }, { logN: 1e9 }];

const slotFiles: Layer = {
  name: 'keystore.json',
  inputs: fc.oneof(
    {
      weight: 8,
      arbitrary: mutatedJson([
        { version: 1, slots: [SLOT, { ...SLOT, id: 'other', logN: 22 }] },
        ...HOSTILE.map((change) => ({ version: 1, slots: [SLOT, { ...SLOT, id: 'x', ...change }] })),
      ]),
    },
    { weight: 1, arbitrary: mutatedBytes([Buffer.from(JSON.stringify({ version: 1, slots: [SLOT] }))]) },
    { weight: 1, arbitrary: rawText },
  ),
  judge(input) {
    written('keystore.json', input);
    const read = new KeystoreFiles(folder).slots();
    if (!read.ok) return { outcome: 'damaged', said: [read.refusal], size: 0 };
    // What scrypt is asked for is bounded before anybody asks: 4 GiB at most.
    for (const { logN, r, p } of read.slots) assert.ok(128 * 2 ** logN * r * p <= 2 ** 32, `${logN} ${r} ${p}`);
    return { outcome: 'accepted', said: [], size: JSON.stringify(read.slots).length };
  },
  isValid: (input) => parses(slots, bytesOf(input)),
};

const keyFiles: Layer = {
  name: 'key file',
  inputs: fc.oneof(
    { weight: 8, arbitrary: mutatedJson([KEY]) },
    { weight: 1, arbitrary: mutatedBytes([Buffer.from(JSON.stringify(KEY))]) },
    { weight: 1, arbitrary: rawText },
  ),
  judge(input) {
    written(`${PUBKEY}.json`, input);
    const read = new KeystoreFiles(folder).key(PUBKEY);
    if (!read.ok) return { outcome: read.error, said: [read.error], size: 0 };
    return { outcome: 'accepted', said: [], size: JSON.stringify(read.sealed).length };
  },
  isValid: (input) => parses(keyFile, bytesOf(input)),
};

const passphraseFiles: Layer = {
  name: 'passphrase file',
  inputs: fc.oneof(
    {
      weight: 4,
      arbitrary: mutatedBytes([Buffer.from(`${CANARY}\n`), Buffer.from('a'.repeat(4_000)), Buffer.from('\r\n')]),
    },
    { weight: 4, arbitrary: mutatedText([`${CANARY} \u{1f5dd}\r\n`]) },
    { weight: 1, arbitrary: fc.nat(4_200).map((n) => `${CANARY.repeat(140).slice(0, n)}`) },
  ),
  judge(input) {
    const path = written('passphrase', input);
    const read = readPassphraseFile(path);
    if (!read.ok) return { outcome: read.refusal.replace(path, 'FILE'), said: [read.refusal], size: 0 };
    wipe(read.passphrase);
    return { outcome: 'accepted', said: read.warnings, size: read.passphrase.length };
  },
  isValid(input) {
    const content = bytesOf(input);
    const text = content.toString('utf8');
    return content.length <= 4_096 && Buffer.from(text).equals(content) && text.replace(/[\r\n]+$/, '') !== '';
  },
};

const entries = z
  .record(
    z.string(),
    z.string().refine((text) => text !== '' && Buffer.byteLength(text) <= 4_096),
  )
  .refine((all) => Object.keys(all).length > 0);

const passphrasesFiles: Layer = {
  name: 'passphrases file',
  inputs: fc.oneof(
    { weight: 9, arbitrary: mutatedJson([{ one: CANARY, 'a.b': `${CANARY} \u{1f5dd}` }, { k: CANARY.repeat(100) }]) },
    { weight: 1, arbitrary: rawText },
  ),
  judge(input) {
    const path = written('passphrases.json', input);
    const read = readPassphrasesFile(path);
    const outcome = read.ok ? 'accepted' : read.refusal.replace(path, 'FILE').replace(/entry \d+/, 'entry N');
    if (!read.ok) return { outcome, said: [read.refusal], size: 0 };
    const size = [...read.entries.values()].reduce((sum, { length }) => sum + length, 0);
    wipeEntries(read.entries);
    return { outcome, said: read.warnings, size };
  },
  // A member called __proto__ is a member; zod leaves it out.
  isValid: (input) => isJson(input, z.preprocess(withoutPrototypes, entries)),
};

function withoutPrototypes(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [`. ${name}`, member]));
}

/** As the reader of secrets reads: no byte order mark, not too deep. */
function isJson(input: Input, schema: z.ZodType): boolean {
  const value = naiveJson(bytesOf(input));
  return value !== undefined && depthOf(bytesOf(input).toString()) <= 64 && schema.safeParse(value).success;
}

function parses(schema: z.ZodType, content: Buffer): boolean {
  try {
    return schema.safeParse(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(content))).success;
  } catch {
    return false;
  }
}

export const FILES: readonly Layer[] = [configFiles, slotFiles, keyFiles, passphraseFiles, passphrasesFiles];
