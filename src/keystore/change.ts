import { type Secret, wipe } from '../actor/protocol.ts';
import type { Random } from '../curve/random.ts';
import { checkHolds, deriveKek, deriveUnsealingKey } from './derive.ts';
import { KeystoreFiles } from './files.ts';
import { findSlot } from './find-slot.ts';
import { Lock } from './lock.ts';
import { takeIn, wipeMessage } from './passphrase-port.ts';
import { type ChangeResult, type PoolTask, type SealedKey, type Slot, WRONG } from './protocol.ts';
import { openSealed, seal } from './seal.ts';
import { whyClosed } from './unlock.ts';

type ChangeTask = Extract<PoolTask, { op: 'change' }>;
/** A slot that the old passphrase was tried on. */
type Old = { slot: Slot; kek: Secret; isRight: boolean };
type New = { slot: Slot; kek: Secret };

/**
 * Seals keys anew, under the slot of another passphrase. That slot is durable first, and then each key file is replaced
 * in one step: whenever this ends, each key opens with the old passphrase or with the new one. Keys are opened by what
 * their files say of themselves; what the vault holds stays good.
 */
export async function change(task: ChangeTask, random: Random): Promise<ChangeResult> {
  const message = await takeIn(task.passphrase, task.timeoutMs);
  const olds: Old[] = [];
  let made: New | undefined;
  try {
    if (message?.newPassphrase === undefined) return refuse('the passphrases did not reach the unlocker: try again');
    const files = new KeystoreFiles(task.keystore);
    const found = files.slots();
    if (!found.ok) return found;
    for (const slot of found.slots) {
      if (!task.oldSlots.includes(slot.id) || slot.logN > task.maxLogN) continue;
      const kek = deriveKek(message.passphrase, slot);
      olds.push({ slot, kek, isRight: checkHolds(kek, slot) });
    }
    const { pubkey } = task;
    const closed = pubkey === null ? whyNone(olds) : whyKeyClosed(files, pubkey, olds[0]);
    if (pubkey !== null && closed === WRONG && isDone(files, pubkey, olds[0]!.slot, message.newPassphrase)) {
      return { ok: true, changed: 0, failed: [] };
    }
    if (closed !== null) return refuse(closed);

    const slot = findSlot(files, message.newPassphrase, task, new Lock(task.lock), random);
    if (!slot.ok) return slot;
    made = slot;
    return move(files, pubkey === null ? files.pubkeys() : [pubkey], olds, made, random);
  } finally {
    if (message !== null) wipeMessage(message);
    wipe(made?.kek, ...olds.map((old) => old.kek));
  }
}

/** Keys of slots that the old passphrase was not tried on, or is not for, stay as they are. */
function move(files: KeystoreFiles, pubkeys: string[], olds: Old[], to: New, random: Random): ChangeResult {
  const result: ChangeResult = { ok: true, changed: 0, failed: [] };
  for (const pubkey of pubkeys) {
    const file = files.key(pubkey);
    if (!file.ok) {
      result.failed.push({ name: `${pubkey}.json`, error: file.error });
      continue;
    }
    const old = olds.find(({ slot, isRight }) => isRight && slot.id === file.sealed.slot);
    if (old === undefined) continue;
    const sealed = sealAnew(file.sealed, old, to, random);
    if (sealed === null) result.failed.push({ name: file.sealed.name, error: 'key file is damaged' });
    else {
      files.writeKey(sealed);
      result.changed++;
    }
  }
  return result;
}

/** Null when the key does not open. */
function sealAnew(sealed: SealedKey, old: Old, to: New, random: Random): SealedKey | null {
  const { name, pubkey } = sealed;
  const unsealingKey = deriveUnsealingKey(old.kek, pubkey);
  const newKey = deriveUnsealingKey(to.kek, pubkey);
  let privateKey: Secret | undefined;
  try {
    if (whyClosed({ sealed, slot: old.slot, unsealingKey }, old.isRight) !== null) return null;
    privateKey = openSealed({ sealed, slot: old.slot, unsealingKey });
    return seal({ name, pubkey, privateKey }, to.slot, newKey, random(24));
  } finally {
    wipe(privateKey, unsealingKey, newKey);
  }
}

function whyNone(olds: readonly Old[]): string | null {
  return olds.some((old) => old.isRight) ? null : WRONG;
}

/** Whether the key has its new passphrase already: somebody asks again who has not heard the answer. */
function isDone(files: KeystoreFiles, pubkey: string, slot: Slot, newPassphrase: Secret): boolean {
  const kek = deriveKek(newPassphrase, slot);
  try {
    return whyKeyClosed(files, pubkey, { slot, kek, isRight: checkHolds(kek, slot) }) === null;
  } finally {
    wipe(kek);
  }
}

function whyKeyClosed(files: KeystoreFiles, pubkey: string, old: Old | undefined): string | null {
  const file = files.key(pubkey);
  if (!file.ok) return file.error;
  if (old === undefined || old.slot.id !== file.sealed.slot) return 'the keystore was changed: try again';
  const unsealingKey = deriveUnsealingKey(old.kek, pubkey);
  try {
    return whyClosed({ sealed: file.sealed, slot: old.slot, unsealingKey }, old.isRight);
  } finally {
    wipe(unsealingKey);
  }
}

function refuse(refusal: string): ChangeResult {
  return { ok: false, refusal };
}
