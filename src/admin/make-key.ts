import { handOn } from '../keystore/passphrase-port.ts';
import type { CreateResult, PassphraseMessage } from '../keystore/protocol.ts';
import type { Pairing } from '../policy/protocol.ts';
import type { Desk } from './desk.ts';

/** A derivation may wait for others; then the sealed key, its row and its subscription have to be made. */
const CREATE_MS = 120_000;

/**
 * Has a key made; answered when it is durable and a client may connect.
 *
 * @param mark `Locks.mark` when it was asked for
 * @param pairing what is to be made together with its row, or neither
 */
export async function makeKey(
  desk: Desk,
  mark: number,
  name: string,
  message: PassphraseMessage,
  pairing?: Pairing,
): Promise<CreateResult> {
  const imports = message.imported !== undefined;
  const made = await desk.unlockers.run(0, () => {
    const port = handOn(message);
    const wanted = pairing === undefined ? { name, port, imports } : { name, port, imports, pairing };
    return desk.main.ask('createKey', wanted, { timeoutMs: CREATE_MS, transfer: [port] });
  });
  if (!made.ok) return made;
  // A lock that came in while the key was being made holds for it too.
  if (desk.locks.since(name, mark)) {
    await desk.main.ask('lockKeys', { names: [name] });
    await desk.policy.ask('setLocked', { name, locked: true });
  }
  return made;
}
