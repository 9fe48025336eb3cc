/** A thread that adds slots to keystore.json, as fast as it can, while others do the same. */
import { workerData } from 'node:worker_threads';
import { KeystoreFiles } from '../../src/keystore/files.ts';
import { Lock } from '../../src/keystore/lock.ts';
import type { Slot } from '../../src/keystore/protocol.ts';

const { keystore, lock, owner, slot, count } = workerData as {
  keystore: string;
  lock: SharedArrayBuffer;
  owner: number;
  slot: Slot;
  count: number;
};
const files = new KeystoreFiles(keystore);
for (let added = 0; added < count; ) {
  const found = files.slots();
  if (!found.ok) throw new Error(found.refusal);
  const known = new Set(found.slots.map(({ id }) => id));
  if (files.addSlot({ ...slot, id: `${owner}-${added}` }, known, new Lock(lock), owner) !== null) added++;
}
