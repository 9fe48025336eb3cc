import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { readBounded } from '../../keystore/read-bounded.ts';
import { MAX_KEY_FILE, MAX_SLOTS_FILE, parseSealedKey, parseSlots } from '../../keystore/schema.ts';

/** The files of a keystore by name, as of one moment. They are sealed: nothing in them has to be wiped. */
export interface KeystoreCopy {
  files: Map<string, Uint8Array>;
  pubkeys: Set<string>;
  /** Files that a restored installation could not open either. */
  damaged: string[];
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
 * @throws the system's error
 */
export async function copyKeystore(folder: string, sleep: (ms: number) => Promise<void>): Promise<KeystoreCopy> {
  for (let tries = 1; ; tries++) {
    const copy = readKeystore(folder);
    if (copy.damaged.length === 0 || tries === TRIES) return copy;
    await sleep(BETWEEN_MS);
  }
}

/** One look at it. @throws the system's error */
export function readKeystore(folder: string): KeystoreCopy {
  const copy: KeystoreCopy = { files: new Map(), pubkeys: new Set(), damaged: [] };
  for (const name of namesIn(folder).filter((name) => KEY_FILE.test(name))) read(copy, folder, name, MAX_KEY_FILE);
  read(copy, folder, SLOTS_FILE, MAX_SLOTS_FILE);

  const slotsFile = copy.files.get(SLOTS_FILE);
  const slots = slotsFile === undefined ? [] : parseSlots(slotsFile);
  if (slots === null) copy.damaged.push(SLOTS_FILE);
  const known = new Set(slots?.map(({ id }) => id));
  for (const [name, bytes] of copy.files) {
    if (name === SLOTS_FILE) continue;
    copy.pubkeys.add(name.slice(0, 64));
    const sealed = parseSealedKey(bytes);
    if (sealed === null || `${sealed.pubkey}.json` !== name || !known.has(sealed.slot)) copy.damaged.push(name);
  }
  return copy;
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

function read({ files, damaged }: KeystoreCopy, folder: string, name: string, most: number): void {
  const found = readBounded(join(folder, name), most);
  if (found.ok) files.set(name, found.bytes);
  // A key that was purged between the two looks.
  else if (found.why !== 'missing') damaged.push(name);
}
