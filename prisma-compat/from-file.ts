import { randomUUID } from 'node:crypto';
import { Link } from '../src/actor/link.ts';
import { newSecret, type Secret, wipe } from '../src/actor/protocol.ts';
import type { Curve } from '../src/curve/curve.ts';
import { pubkeyOf } from '../src/curve/pubkey-of.ts';
import type { Random } from '../src/curve/random.ts';
import { KeystoreFiles } from '../src/keystore/files.ts';
import { parseImport, wipeImport } from '../src/keystore/import.ts';
import { keep, type VaultLink } from '../src/keystore/keep.ts';
import type { Slot } from '../src/keystore/protocol.ts';
import { seal } from '../src/keystore/seal.ts';
import { legacyUnsealingKey } from './open-legacy.ts';
import type { FromFile, KeyRef, RecoverTask } from './protocol.ts';
import { type Entry, readKeys, wipeEntries } from './read-keys.ts';

export interface Tools {
  random: Random;
  loadCurve: () => Promise<Curve>;
}

/** Of keys that are sealed for one run only. It stands for no passphrase, and lies in no file. */
const RUN_SLOT: Slot = { id: 'run', salt: `${'A'.repeat(43)}=`, logN: 14, r: 8, p: 1, check: `${'A'.repeat(43)}=` };
const GONE = 'the vault did not answer: try again';

/** Carries out a `RecoverTask`: the keys that lie in nsecbunker.json unencrypted go to the vault. */
export async function recover({ file, keystore, keys, vault }: RecoverTask, tools: Tools): Promise<FromFile> {
  const link: VaultLink = new Link(vault, {});
  try {
    const resealed = new Set(new KeystoreFiles(keystore).pubkeys());
    const wanted = keys.filter(({ pubkey }) => !resealed.has(pubkey));
    return await fromFile(file, wanted, null, link, tools);
  } finally {
    link.close();
  }
}

/**
 * Gives the vault what opens these keys of nsecbunker.json. Whether a passphrase is the right one cannot be told
 * here: that takes the private key, and only a thread of the key's own may see it.
 *
 * @param passphrase null: only keys that need none
 */
export async function fromFile(
  file: string,
  keys: readonly KeyRef[],
  passphrase: Secret | null,
  link: VaultLink,
  tools: Tools,
): Promise<FromFile> {
  const result: FromFile = { held: [], opened: [], failed: [] };
  const read = readKeys(file, new Set(keys.map(({ name }) => name)));
  if (!read.ok) return { ...result, failed: keys.map((key) => ({ ...key, error: read.refusal })) };
  const unsealingKey = passphrase === null ? null : legacyUnsealingKey(passphrase);
  try {
    for (const key of keys) {
      const entry = read.entries.get(key.name);
      const error = await take(key, entry, unsealingKey, link, tools, result);
      if (error !== null) result.failed.push({ ...key, error });
    }
    return result;
  } finally {
    wipe(unsealingKey);
    wipeEntries(read.entries);
  }
}

/** Why it was not taken, or null. */
async function take(
  key: KeyRef,
  entry: Entry | undefined,
  unsealingKey: Secret | null,
  link: VaultLink,
  tools: Tools,
  result: FromFile,
): Promise<string | null> {
  switch (entry?.form) {
    case undefined:
      return 'no such key in the keystore';
    case 'damaged':
      return 'key file is damaged';
    case 'plain':
      return sealForThisRun(key, entry.text, link, tools, result);
    case 'encrypted': {
      if (unsealingKey === null) return 'it is encrypted: unlock it with its passphrase';
      const id = `held ${randomUUID()}`;
      const sealed = { version: 0, name: key.name, pubkey: id, iv: entry.iv, data: entry.data } as const;
      if (!(await keep(link, { sealed, slot: RUN_SLOT, unsealingKey }))) return GONE;
      result.held.push({ ...key, id });
      return null;
    }
    default:
      return entry satisfies never;
  }
}

async function sealForThisRun(
  { name, pubkey }: KeyRef,
  text: Secret,
  link: VaultLink,
  { random, loadCurve }: Tools,
  result: FromFile,
): Promise<string | null> {
  const imported = parseImport(text);
  if (!imported.ok || imported.form !== 'plain') {
    wipeImport(imported);
    return 'key file is damaged';
  }
  const unsealingKey = newSecret(32);
  try {
    const own = pubkeyOf(await loadCurve(), imported.privateKey);
    if (own === null || (pubkey !== '' && own !== pubkey)) return 'key file is damaged';
    const bytes = random(32);
    unsealingKey.set(bytes);
    wipe(bytes);
    const sealed = seal({ name, pubkey: own, privateKey: imported.privateKey }, RUN_SLOT, unsealingKey, random(24));
    if (!(await keep(link, { sealed, slot: RUN_SLOT, unsealingKey }))) return GONE;
    result.opened.push({ name, pubkey: own, isNew: pubkey === '' });
    return null;
  } finally {
    wipe(imported.privateKey, unsealingKey);
  }
}
