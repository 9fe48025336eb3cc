import * as z from 'zod/mini';
import { type Secret, wipe } from '../actor/protocol.ts';
import { nearest } from '../config/nearest.ts';
import { parseImport, wipeImport } from '../keystore/import.ts';
import { readBounded } from '../keystore/read-bounded.ts';
import { MAX_CONFIG_BYTES } from './config-size.ts';
import { cutSecrets, type JsonPath } from './cut-secrets.ts';
import { readPubkey } from './npub.ts';
import type { RedactedConfig } from './protocol.ts';

export type ConfigRead =
  /** `adminKey` is for the caller to wipe. */
  | { ok: true; adminKey: Secret; config: RedactedConfig; quickstart: boolean }
  | { ok: false; missing: boolean; refusal: string };

const urls = z.array(z.string().check(z.refine(isRelayUrl, 'must be a relay URL that starts with wss:// or ws://')));

const shape = z.looseObject({
  admin: z.looseObject({
    key: z.literal('', "must be the daemon's private key as text, in hex"),
    npubs: z._default(z.array(z.string().check(z.refine((text) => readPubkey(text) !== null, 'is not an npub'))), []),
    adminRelays: z._default(urls, []),
    notifyAdminsOnBoot: z.optional(z.boolean()),
  }),
  nostr: z._default(z.looseObject({ relays: z._default(urls, []) }), { relays: [] }),
  database: z.optional(z.string()),
  logs: z.optional(z.string()),
  verbose: z.optional(z.boolean()),
  keys: z._default(z.record(z.string(), z.looseObject({})), {}),
  baseUrl: z.optional(z.nullable(z.string())),
  authPort: z.optional(z.nullable(z.int())),
  authHost: z.optional(z.nullable(z.string())),
  domains: z.optional(z.nullable(z.record(z.string(), z.looseObject({})))),
  version: z.optional(z.unknown()),
  redoubt: z._default(z.looseObject({ quickstart: z.optional(z.boolean()) }), {}),
});

const KNOWN = {
  '': Object.keys(shape.def.shape),
  admin: ['key', 'npubs', 'adminRelays', 'notifyAdminsOnBoot'],
  nostr: ['relays'],
} as const;

/**
 * Reads nsecbunker.json. Its secrets (the admin key, keys of clients' identities, accounts' wallet keys) are taken
 * out as bytes; only the admin key is kept, for the caller.
 */
export function readConfigFile(path: string): ConfigRead {
  const read = readBounded(path, MAX_CONFIG_BYTES);
  if (!read.ok)
    return { ok: false, missing: read.why === 'missing', refusal: `${path}: ${whyNot(read.why, read.code)}` };
  const cut = cutSecrets(read.bytes, isSecret);
  wipe(read.bytes);
  if (cut === null) return refusal(path, 'is not JSON: see to its commas, quotes and brackets');
  let adminKey: Secret | undefined;
  try {
    const config = z.safeParse(shape, cut.value);
    if (!config.success) return refusal(path, problem(config.error.issues[0]!));
    const text = cut.secrets.find(({ path }) => path.join('.') === 'admin.key')?.bytes;
    const key = text === undefined ? undefined : readKey(text);
    if (key === undefined) return refusal(path, 'admin.key is neither 64 hex digits nor an nsec');
    adminKey = key;
    const warnings = unknownNames(cut.value as Record<string, unknown>).map((warning) => `${path}: ${warning}`);
    if ((read.stats.mode & 0o077) !== 0) {
      warnings.push(`${path}: holds secrets and can be read by group or others: set its mode to 600`);
    }
    const { admin, nostr, database, keys, baseUrl } = config.data;
    if (baseUrl) {
      warnings.push(`${path}: baseUrl is set, but there is no web approval: the access rules (acl) alone decide`);
    }
    const { quickstart, ...redoubt } = config.data.redoubt;
    return {
      ok: true,
      adminKey,
      quickstart: quickstart === true,
      config: {
        adminPubkeys: admin.npubs.map((npub) => readPubkey(npub)!),
        adminRelays: admin.adminRelays,
        nostrRelays: nostr.relays,
        database: database ?? null,
        keyNames: Object.keys(keys),
        plainKeyNames: Object.keys(keys).filter((name) => isPlain(keys[name]!)),
        redoubt: JSON.stringify(redoubt),
        warnings,
      },
    };
  } finally {
    wipe(...cut.secrets.map((secret) => secret.bytes));
  }
}

function isSecret(path: JsonPath): boolean {
  const [top, second] = path;
  if (path.length === 2 && top === 'admin') return second === 'key';
  return path.length === 2 && (top === 'keys' || top === 'domains');
}

/** Its text was cut out of it. */
function isPlain(key: { [member: string]: unknown }): boolean {
  return key.key === '' && !(key.iv === '' && key.data === '');
}

function readKey(text: Secret): Secret | undefined {
  const imported = parseImport(text);
  if (imported.ok && imported.form === 'plain') return imported.privateKey;
  wipeImport(imported);
  return undefined;
}

function isRelayUrl(text: string): boolean {
  return /^wss?:\/\/[^\s,]+$/.test(text) && URL.canParse(text);
}

function refusal(path: string, what: string): ConfigRead {
  return { ok: false, missing: false, refusal: `${path}: ${what}` };
}

/** Names the path and what belongs there; values are never quoted. */
function problem(issue: z.core.$ZodIssue): string {
  const where = issue.path.map((step, i) =>
    typeof step === 'number' ? `[${step}]` : `${i === 0 ? '' : '.'}${String(step)}`,
  );
  const name = where.join('') || 'the file';
  if (issue.code === 'invalid_type') {
    if (name === 'admin' || name === 'admin.key') return `${name} is missing: it holds the daemon's own key`;
    return `${name} must be ${TYPES[issue.expected] ?? issue.expected}`;
  }
  if (name === 'admin.key') return "admin.key is missing or not text: it is the daemon's own key, in hex";
  return `${name} ${issue.message}`;
}

const TYPES: { [expected: string]: string } = {
  string: 'text in quotes',
  array: 'a list in [ ]',
  object: 'an object in { }',
  record: 'an object in { }',
  boolean: 'true or false',
  int: 'a whole number',
  number: 'a number',
};

function unknownNames(file: Record<string, unknown>): string[] {
  return Object.entries(KNOWN).flatMap(([section, known]) => {
    const part = section === '' ? file : file[section];
    if (typeof part !== 'object' || part === null) return [];
    return Object.keys(part)
      .filter((name) => !(known as readonly string[]).includes(name))
      .map((name) => {
        const near = nearest(name, known);
        const full = section === '' ? name : `${section}.${name}`;
        return `${full} is unknown and not looked at; the nearest is ${near}`;
      });
  });
}

function whyNot(why: 'missing' | 'unreadable' | 'not a regular file' | 'too large', code: string): string {
  switch (why) {
    case 'missing':
      return 'there is no such configuration file: name one with --config, or try "redoubt start --quickstart"';
    case 'unreadable':
      return `the configuration file cannot be read (${code}): see to its owner and mode`;
    case 'not a regular file':
      return 'is not a regular file: name the configuration file with --config';
    case 'too large':
      return `is larger than ${MAX_CONFIG_BYTES} bytes: this is no configuration file`;
    default:
      return why satisfies never;
  }
}
