import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { newSecret, type Secret, wipe } from '../actor/protocol.ts';
import type { PassphraseMessage } from './protocol.ts';

const OPTIONAL = ['imported', 'importPassphrase', 'newPassphrase'] as const;

/**
 * A port on which the message already waits, to be handed to an unlocker. It holds copies whose memory moves with
 * them; the caller's own bytes stay the caller's to wipe.
 */
export function handOn(message: PassphraseMessage): MessagePort {
  const { port1, port2 } = new MessageChannel();
  const copy: PassphraseMessage = { passphrase: copyOf(message.passphrase) };
  for (const name of OPTIONAL) {
    const secret = message[name];
    if (secret !== undefined) copy[name] = copyOf(secret);
  }
  port1.postMessage(
    copy,
    Object.values(copy).map((secret: Secret) => secret.buffer as ArrayBuffer),
  );
  // What was posted before the close still arrives, in whatever thread the other end is by then.
  port1.close();
  return port2;
}

/** Takes the message in and closes the port; null when nothing came in time or the other side is gone. */
export function takeIn(port: MessagePort, timeoutMs: number): Promise<PassphraseMessage | null> {
  return new Promise((resolve) => {
    const end = (message: PassphraseMessage | null) => {
      clearTimeout(timer);
      port.close();
      resolve(message);
    };
    const timer = setTimeout(() => end(null), timeoutMs);
    port.on('message', (message: unknown) => end(isPassphraseMessage(message) ? message : null));
    port.on('close', () => end(null));
  });
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

function copyOf(secret: Secret): Secret {
  const copy = newSecret(secret.length);
  copy.set(secret);
  return copy;
}
