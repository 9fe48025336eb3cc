import { KeystoreFiles } from './files.ts';
import type { PrepareResult } from './protocol.ts';

/** Makes the keystore's folder ready at start, when nobody writes to it. @throws the system's error */
export async function prepare(keystore: string): Promise<PrepareResult> {
  const files = new KeystoreFiles(keystore);
  files.make();
  files.clean();
  const found = files.slots();
  return found.ok ? { ok: true, keys: files.pubkeys().length, slots: found.slots.length } : found;
}
