import type { MessagePort } from 'node:worker_threads';
import { wipe } from '../actor/protocol.ts';
import { copyOf, messageOn, portWith } from '../actor/secret-port.ts';
import type { PassphraseMessage } from './protocol.ts';

const OPTIONAL = ['imported', 'importPassphrase', 'newPassphrase'] as const;

/**
 * A port on which the message already waits, to be handed to an unlocker. It holds copies whose memory moves with
 * them; the caller's own bytes stay the caller's to wipe.
 */
export function handOn(message: PassphraseMessage): MessagePort {
  const copy: PassphraseMessage = { passphrase: copyOf(message.passphrase) };
  for (const name of OPTIONAL) {
    const secret = message[name];
    if (secret !== undefined) copy[name] = copyOf(secret);
  }
  return portWith(copy, Object.values(copy));
}

/** Takes the message in and closes the port; null when nothing came in time or the other side is gone. */
export async function takeIn(port: MessagePort, timeoutMs: number): Promise<PassphraseMessage | null> {
  const message = await messageOn(port, timeoutMs);
  return isPassphraseMessage(message) ? message : null;
}

export function wipeMessage(message: PassphraseMessage): void {
  wipe(message.passphrase, ...OPTIONAL.map((name) => message[name]));
}

function isPassphraseMessage(message: unknown): message is PassphraseMessage {
  if (typeof message !== 'object' || message === null) return false;
  const { passphrase, ...others } = message as Record<string, unknown>;
  const optional = OPTIONAL.map((name) => others[name]).filter((secret) => secret !== undefined);
  return [passphrase, ...optional].every((secret) => secret instanceof Uint8Array);
}
