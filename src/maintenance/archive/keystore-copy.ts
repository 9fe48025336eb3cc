import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { readBounded } from '../../keystore/read-bounded.ts';
import { MAX_KEY_FILE, MAX_SLOTS_FILE, parseSealedKey, parseSlots } from '../../keystore/schema.ts';

/** The files of a keystore by name, as of one moment. They are sealed: nothing in them has to be wiped. */
export interface KeystoreCopy {
  files: Map<string, Uint8Array>;
  pubkeys: Set<string>;
  /** Files of no use to a restored installation either, and what is wrong with each: `is damaged`. */
  faults: { name: string; is: string }[];
}

const SLOTS_FILE = 'keystore.json';
const KEY_FILE = /^[0-9a-f]{64}\.json$/;
const TRIES = 20;
const BETWEEN_MS = 100;

/**
 * Reads a keystore that a daemon may be changing. Each file is whole at any moment; together they may be of different
 * ones: a key that was moved to a new passphrase needs the slot that was written before. It is read again until
 * every key has its slot.
 *
 * @throws what cannot be read, as the system's error
 */
export async function copyKeystore(folder: string, sleep: (ms: number) => Promise<void>): Promise<KeystoreCopy> {
  for (let tries = 1; ; tries++) {
    const copy = readKeystore(folder);
    if (copy.faults.length === 0 || tries === TRIES) return copy;
    await sleep(BETWEEN_MS);
  }
}

/** One look at it. @throws what cannot be read, as the system's error */
export function readKeystore(folder: string): KeystoreCopy {
  const files = new Map<string, Uint8Array>();
  const take = (name: string, most: number) => {
    const bytes = readNeeded(join(folder, name), most);
    if (bytes !== null) files.set(name, bytes);
  };
  for (const name of namesIn(folder).filter((name) => KEY_FILE.test(name))) take(name, MAX_KEY_FILE);
  take(SLOTS_FILE, MAX_SLOTS_FILE);

  const names = [...files.keys()].filter((name) => name !== SLOTS_FILE);
  const faults: KeystoreCopy['faults'] = [];
  const slotsFile = files.get(SLOTS_FILE);
  const slots = slotsFile === undefined ? null : parseSlots(slotsFile);
  if (slotsFile !== undefined && slots === null) faults.push({ name: SLOTS_FILE, is: 'is damaged' });
  if (slotsFile === undefined && names.length > 0) faults.push({ name: SLOTS_FILE, is: 'is missing' });
  const known = slots === null ? null : new Set(slots.map(({ id }) => id));
  for (const name of names) {
    const sealed = parseSealedKey(files.get(name)!);
    if (sealed === null || `${sealed.pubkey}.json` !== name) faults.push({ name, is: 'is damaged' });
    else if (known?.has(sealed.slot) === false) faults.push({ name, is: `lacks its slot in ${SLOTS_FILE}` });
  }
  return { files, pubkeys: new Set(names.map((name) => name.slice(0, 64))), faults };
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** Null when it is missing: a key may be purged between the two looks. @throws when it is there and cannot be read */
export function readNeeded(path: string, most: number): Uint8Array | null {
  const read = readBounded(path, most);
  if (read.ok) return read.bytes;
  if (read.why === 'missing') return null;
  throw Object.assign(new Error('unreadable'), { code: read.code || read.why, path });
}
