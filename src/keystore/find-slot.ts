import { type Secret, wipe } from '../actor/protocol.ts';
import type { Random } from '../curve/random.ts';
import { checkHolds, deriveKek } from './derive.ts';
import type { KeystoreFiles } from './files.ts';
import type { Lock } from './lock.ts';
import type { PoolTask, Slot } from './protocol.ts';
import { makeSlot } from './slot.ts';

type Limits = Pick<Extract<PoolTask, { op: 'create' | 'change' }>, 'logN' | 'maxLogN' | 'slots' | 'seen' | 'task'>;
type Found = { ok: true; slot: Slot; kek: Secret } | { ok: false; refusal: string };

/**
 * The slot that stands for a passphrase, with its KEK for the caller to wipe: one of those that were planned, or one
 * that somebody added since, or else a new one, durable before this returns.
 */
export function findSlot(files: KeystoreFiles, passphrase: Secret, limits: Limits, lock: Lock, random: Random): Found {
  let made: { slot: Slot; kek: Secret } | undefined;
  let seen = limits.seen;
  let tries = new Set(limits.slots);
  try {
    for (;;) {
      const found = files.slots();
      if (!found.ok) return found;
      const isTried = (slot: Slot, i: number) => (i >= seen || tries.has(slot.id)) && slot.logN <= limits.maxLogN;
      const match = tryEach(found.slots.filter(isTried), passphrase);
      if (match !== null) return match;

      made ??= makeSlot(passphrase, limits.logN, random);
      const added = files.addSlot(made.slot, new Set(found.slots.map(({ id }) => id)), lock, limits.task);
      if (added?.ok === false) return added;
      if (added !== null) {
        const { slot, kek } = made;
        made = undefined;
        return { ok: true, slot, kek };
      }
      // Another task was faster, perhaps with the same passphrase: look at what it added.
      seen = found.slots.length;
      tries = new Set();
    }
  } finally {
    wipe(made?.kek);
  }
}

function tryEach(slots: readonly Slot[], passphrase: Secret): (Found & { ok: true }) | null {
  for (const slot of slots) {
    const kek = deriveKek(passphrase, slot);
    if (checkHolds(kek, slot)) return { ok: true, slot, kek };
    wipe(kek);
  }
  return null;
}
