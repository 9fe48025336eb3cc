import { hkdfSync, timingSafeEqual } from 'node:crypto';
import { asSecret, type Secret, wipe } from '../../actor/protocol.ts';
import type { Random } from '../../curve/random.ts';
import { stretch } from '../../keystore/derive.ts';
import { isLogN } from '../../keystore/schema.ts';
import { Unfit } from './unfit.ts';

/** docs/BACKUP.md: the first bytes of an archive. */
const MAGIC = new TextEncoder().encode('REDOUBT BACKUP');
const VERSION = 1;
const PLAIN = 0;
const SEALED = 1;
const PLAIN_BYTES = MAGIC.length + 2;
const SALT = PLAIN_BYTES + 1;
const PREFIX = SALT + 32;
const CHECK = PREFIX + 19;
const SEALED_BYTES = CHECK + 32;

const STREAM_INFO = new TextEncoder().encode('redoubt backup v1');
const CHECK_INFO = new TextEncoder().encode('redoubt backup check v1');
const NO_SALT = new Uint8Array(0);

/** What the chunks of an archive are sealed with. `key` is for the caller to wipe. */
export interface Sealing {
  key: Secret;
  /** 19 bytes */
  noncePrefix: Uint8Array;
  /** The header: associated data of every chunk. */
  header: Uint8Array;
}

export type ReadHeader =
  | { form: 'plain'; bytes: Uint8Array }
  | { form: 'sealed'; bytes: Uint8Array; unseal(passphrase: Secret): Sealing | null };

/** Bytes of the longest header. */
export const MAX_HEADER = SEALED_BYTES;

export function plainHeader(): Uint8Array {
  return Uint8Array.of(...MAGIC, VERSION, PLAIN);
}

/** Blocks the thread for a derivation. */
export function sealedHeader(passphrase: Secret, logN: number, random: Random): Sealing {
  const header = new Uint8Array(SEALED_BYTES);
  header.set([...MAGIC, VERSION, SEALED, logN]);
  header.set(random(32), SALT);
  header.set(random(19), PREFIX);
  const { key, check } = derive(passphrase, header);
  header.set(check, CHECK);
  return { key, noncePrefix: header.slice(PREFIX, CHECK), header };
}

/** @param start the file's first bytes, `MAX_HEADER` of them if there are so many. @throws Unfit */
export function readHeader(start: Uint8Array): ReadHeader {
  if (start.length < PLAIN_BYTES || !MAGIC.every((byte, i) => start[i] === byte)) {
    throw new Unfit('is no backup of Redoubt');
  }
  const version = start[MAGIC.length];
  if (version !== VERSION) throw new Unfit(`has the format ${version}, which this version does not know`);
  const form = start[MAGIC.length + 1];
  if (form === PLAIN) return { form: 'plain', bytes: start.slice(0, PLAIN_BYTES) };
  // Checked before anything is allocated for the derivation.
  if (form !== SEALED || start.length < SEALED_BYTES || !isLogN(start[PLAIN_BYTES])) throw new Unfit('is damaged');
  const header = start.slice(0, SEALED_BYTES);
  return { form: 'sealed', bytes: header, unseal: (passphrase) => unseal(passphrase, header) };
}

/** Null for a wrong passphrase. */
function unseal(passphrase: Secret, header: Uint8Array): Sealing | null {
  const { key, check } = derive(passphrase, header);
  if (timingSafeEqual(check, header.subarray(CHECK))) return { key, noncePrefix: header.slice(PREFIX, CHECK), header };
  wipe(key);
  return null;
}

function derive(passphrase: Secret, header: Uint8Array): { key: Secret; check: Uint8Array } {
  const kek = stretch(passphrase, header.slice(SALT, PREFIX), header[PLAIN_BYTES]!);
  try {
    const expand = (info: Uint8Array) => new Uint8Array(hkdfSync('sha256', kek, NO_SALT, info, 32));
    return { key: asSecret(expand(STREAM_INFO)), check: expand(CHECK_INFO) };
  } finally {
    wipe(kek);
  }
}
