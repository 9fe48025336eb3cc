import { Link } from '../actor/link.ts';
import { type Secret, wipe } from '../actor/protocol.ts';
import { checkHolds, deriveKek, deriveUnsealingKey } from './derive.ts';
import { KeystoreFiles } from './files.ts';
import { keep, type VaultLink } from './keep.ts';
import { takeIn, wipeMessage } from './passphrase-port.ts';
import {
  type PoolTask,
  type SealedKey,
  type Slot,
  UNANSWERED,
  type UnlockResult,
  type Unsealing,
  WRONG,
} from './protocol.ts';
import { openSealed } from './seal.ts';
import { idHolds } from './slot.ts';

type UnlockTask = Extract<PoolTask, { op: 'unlock' }>;
type KeyRef = UnlockTask['keys'][number];

/** Unsealing keys that are on their way to the vault at once. */
const BATCH = 256;

/**
 * Derives once for each slot, tries each sealed file, and gives the vault what opens it. One key that cannot be
 * unlocked never keeps another from it.
 */
export async function unlock(task: UnlockTask): Promise<UnlockResult> {
  const link: VaultLink = new Link(task.vault, {});
  const message = await takeIn(task.passphrase, task.timeoutMs);
  try {
    if (message === null) return allFailed(task.keys, 'the passphrase did not reach the unlocker: try again');
    const result: UnlockResult = { unlocked: [], failed: [] };
    for (const [slot, keys] of readKeys(task, result)) await unlockSlot(slot, keys, message.passphrase, link, result);
    return result;
  } finally {
    if (message !== null) wipeMessage(message);
    link.close();
  }
}

export function allFailed(keys: readonly KeyRef[], error: string): UnlockResult {
  return { unlocked: [], failed: keys.map((key) => ({ ...key, error })), refusal: error };
}

type Sealed = { key: KeyRef; sealed: SealedKey };

function readKeys(task: UnlockTask, result: UnlockResult): Map<Slot, Sealed[]> {
  const files = new KeystoreFiles(task.keystore);
  const bySlot = new Map<Slot, Sealed[]>();
  const found = files.slots();
  if (!found.ok) {
    result.failed.push(...allFailed(task.keys, found.refusal).failed);
    return bySlot;
  }
  const slots = new Map(found.slots.map((slot) => [slot.id, slot]));
  for (const key of task.keys) {
    const read = readKey(files, slots, key);
    if (typeof read === 'string') result.failed.push({ ...key, error: read });
    else if (read.slot.logN > task.maxLogN)
      result.failed.push({ ...key, error: 'the keystore was changed: try again' });
    else if (bySlot.has(read.slot)) bySlot.get(read.slot)!.push({ key, sealed: read.sealed });
    else bySlot.set(read.slot, [{ key, sealed: read.sealed }]);
  }
  return bySlot;
}

/** A key's sealed form and its slot, or why there is none. */
function readKey(
  files: KeystoreFiles,
  slots: Map<string, Slot>,
  key: KeyRef,
): { sealed: SealedKey; slot: Slot } | string {
  const file = files.key(key.pubkey);
  if (!file.ok) return file.error;
  const { sealed } = file;
  const slot = slots.get(sealed.slot);
  // What the file says of itself must be what the Key row says.
  return slot === undefined || sealed.name !== key.name ? 'key file is damaged' : { sealed, slot };
}

async function unlockSlot(
  slot: Slot,
  keys: readonly Sealed[],
  passphrase: Secret,
  link: VaultLink,
  result: UnlockResult,
): Promise<void> {
  const kek = deriveKek(passphrase, slot);
  try {
    const isRight = checkHolds(kek, slot);
    for (let i = 0; i < keys.length; i += BATCH) {
      const batch = keys.slice(i, i + BATCH).map(async ({ key, sealed }) => {
        const error = await unlockKey(sealed, slot, kek, isRight, link);
        if (error === null) result.unlocked.push(key.pubkey);
        else result.failed.push({ ...key, error });
      });
      await Promise.all(batch);
    }
  } finally {
    wipe(kek);
  }
}

/** Why this key stays locked, or null. */
async function unlockKey(
  sealed: SealedKey,
  slot: Slot,
  kek: Secret,
  isRight: boolean,
  link: VaultLink,
): Promise<string | null> {
  const unsealingKey = deriveUnsealingKey(kek, sealed.pubkey);
  try {
    const why = whyClosed({ sealed, slot, unsealingKey }, isRight);
    if (why !== null) return why;
    return (await keep(link, { sealed, slot, unsealingKey })) ? null : UNANSWERED;
  } finally {
    wipe(unsealingKey);
  }
}

/**
 * Why a sealed key does not open, or null.
 *
 * @param isRight whether the slot's check value says that the passphrase is right
 */
export function whyClosed(unsealing: Unsealing, isRight: boolean): 'key file is damaged' | typeof WRONG | null {
  const opens = opensWith(unsealing);
  if (isRight !== opens || (!opens && !idHolds(unsealing.slot))) return 'key file is damaged';
  return opens ? null : WRONG;
}

/** Opens the sealed key to see whether it can be, and overwrites it at once. */
function opensWith(unsealing: Unsealing): boolean {
  try {
    wipe(openSealed(unsealing));
    return true;
  } catch {
    return false;
  }
}
