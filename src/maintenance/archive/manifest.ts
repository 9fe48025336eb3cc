import { createHash } from 'node:crypto';
import * as z from 'zod/mini';
import { Unfit } from './unfit.ts';

export interface Entry {
  /** Where it belongs, in names of the format's own: `config/...`, `database/nsecbunker.db`, `keystore/...`. */
  path: string;
  /** bytes */
  size: number;
  /** hex */
  sha256: string;
}

/** What an archive begins with. */
export interface Manifest {
  /** ms since the epoch: the moment that the database is of. */
  createdAt: number;
  /** Of the program that made it. */
  redoubt: string;
  counts: { keys: number; pairings: number; auditRows: number };
  entries: Entry[];
}

export const CONFIG = 'config/nsecbunker.json';
export const DATABASE = 'database/nsecbunker.db';
export const SLOTS = 'keystore/keystore.json';
const BESIDE_CONFIG = ['admin.nsec', 'passphrase'];
const KEY = /^keystore\/[0-9a-f]{64}\.json$/;

/** Bytes of a manifest; room for half a million keys. */
export const MAX_MANIFEST = 64 * 1024 * 1024;

const count = z.int().check(z.minimum(0));
const shape = z.strictObject({
  createdAt: count,
  redoubt: z.string(),
  counts: z.strictObject({ keys: count, pairings: count, auditRows: count }),
  entries: z.array(
    z.strictObject({ path: z.string(), size: count, sha256: z.string().check(z.regex(/^[0-9a-f]{64}$/)) }),
  ),
});

export function encodeManifest(manifest: Manifest): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(manifest));
}

/** Also looks at every path: nothing but what belongs to an installation is ever written. @throws Unfit */
export function decodeManifest(bytes: Uint8Array): Manifest {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw new Unfit('is damaged: its list of contents cannot be read');
  }
  const manifest = z.safeParse(shape, value);
  if (!manifest.success) throw new Unfit('is damaged: its list of contents is not in its form');
  const { entries } = manifest.data;
  const seen = new Set<string>();
  for (const { path } of entries) {
    if (isUnsafe(path)) throw new Unfit('holds an unsafe path (absolute, or with ..): nothing of it is restored');
    if (!isKnown(path)) throw new Unfit('holds a file that belongs to no installation: nothing of it is restored');
    if (seen.has(path)) throw new Unfit('holds a file twice: nothing of it is restored');
    seen.add(path);
  }
  for (const path of [CONFIG, DATABASE]) {
    if (!seen.has(path)) throw new Unfit(`lacks ${path}`);
  }
  return manifest.data;
}

/** The name that an entry has in its folder. */
export function baseOf(path: string): string {
  return path.slice(path.indexOf('/') + 1);
}

export function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function isUnsafe(path: string): boolean {
  return (
    path.startsWith('/') ||
    /^[A-Za-z]:|\\|\0/.test(path) ||
    path.split('/').some((part) => part === '' || part.startsWith('.'))
  );
}

function isKnown(path: string): boolean {
  return (
    [CONFIG, DATABASE, SLOTS].includes(path) ||
    KEY.test(path) ||
    BESIDE_CONFIG.some((name) => path === `config/${name}`)
  );
}
