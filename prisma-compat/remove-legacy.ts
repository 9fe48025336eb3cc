import { chmodSync, chownSync, realpathSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { type Secret, wipe } from '../src/actor/protocol.ts';
import { MAX_CONFIG_BYTES } from '../src/admin/config-size.ts';
import type { Curve } from '../src/curve/curve.ts';
import { pubkeyOf } from '../src/curve/pubkey-of.ts';
import { checkHolds, deriveKek, deriveUnsealingKey } from '../src/keystore/derive.ts';
import { removeTemporary, writeDurably } from '../src/keystore/durable.ts';
import type { KeystoreFiles } from '../src/keystore/files.ts';
import { readBounded } from '../src/keystore/read-bounded.ts';
import { openSealed } from '../src/keystore/seal.ts';
import type { Standing } from './upgrade-keys.ts';
import { withoutKeys } from './without-keys.ts';

/** Those of the resealed keys that do not open with this passphrase, and why. Derives once for each slot. */
export function unproven(
  files: KeystoreFiles,
  curve: Curve,
  keys: readonly Standing[],
  passphrase: Secret,
): { key: string; why: string }[] {
  const found = files.slots();
  if (!found.ok) return keys.map(({ name }) => ({ key: name, why: found.refusal }));
  const keks = new Map<string, Secret | null>();
  const kekOf = (id: string): Secret | null => {
    const known = keks.get(id);
    if (known !== undefined) return known;
    const slot = found.slots.find((one) => one.id === id);
    const kek = slot === undefined ? null : deriveKek(passphrase, slot);
    const right = kek !== null && checkHolds(kek, slot!);
    if (!right) wipe(kek);
    keks.set(id, right ? kek : null);
    return right ? kek : null;
  };
  try {
    return keys.flatMap(({ name, pubkey }) => {
      const file = files.key(pubkey!);
      if (!file.ok) return [{ key: name, why: file.error }];
      const slot = found.slots.find(({ id }) => id === file.sealed.slot);
      const kek = kekOf(file.sealed.slot);
      if (slot === undefined || kek === null) return [{ key: name, why: 'wrong passphrase' }];
      const unsealingKey = deriveUnsealingKey(kek, pubkey!);
      let privateKey: Secret | undefined;
      try {
        privateKey = openSealed({ sealed: file.sealed, slot, unsealingKey });
        return pubkeyOf(curve, privateKey) === pubkey ? [] : [{ key: name, why: 'key file is damaged' }];
      } catch {
        return [{ key: name, why: 'key file is damaged' }];
      } finally {
        wipe(unsealingKey, privateKey);
      }
    });
  } finally {
    wipe(...keks.values());
  }
}

/**
 * Takes these keys out of nsecbunker.json in one step; its owner, its mode and all else in it stay. No copy is kept:
 * that is what it is for. @returns a line for the operator, or null
 */
export function removeLegacy(path: string, names: readonly string[]): string | null {
  let rest: Secret | null = null;
  let bytes: Secret | undefined;
  try {
    const file = realpathSync(path);
    const read = readBounded(file, MAX_CONFIG_BYTES);
    if (!read.ok) return `${path} cannot be read (${read.code || read.why})`;
    bytes = read.bytes;
    rest = withoutKeys(bytes, new Set(names));
    if (rest === null) return `${path} is not JSON: put it back from a backup`;
    removeTemporary(dirname(file), basename(file));
    writeDurably(file, rest);
    chmodSync(file, read.stats.mode & 0o777);
    if (process.getuid?.() === 0) chownSync(file, read.stats.uid, read.stats.gid);
    return null;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    return `${path} cannot be written (${code}): its keys are in it still; take them out by hand, or where it is written`;
  } finally {
    wipe(bytes, rest);
  }
}
