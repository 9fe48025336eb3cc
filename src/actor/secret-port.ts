import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { newSecret, type Secret } from './protocol.ts';

/** How long what was left on a port may take to arrive, ms. */
const PORT_MS = 5_000;

/** A copy in memory of its own, which can move to another thread; the caller's own bytes stay the caller's to wipe. */
export function copyOf(secret: Secret): Secret {
  const copy = newSecret(secret.length);
  copy.set(secret);
  return copy;
}

/** Leaves one message on a port, for whoever has its other end. @param secrets in it, whose memory moves with them */
export function leave(port: MessagePort, message: unknown, secrets: readonly Secret[]): void {
  port.postMessage(
    message,
    secrets.map((secret) => secret.buffer as ArrayBuffer),
  );
  // What was posted before the close still arrives, in whatever thread the other end is by then.
  port.close();
}

/** A port on which the message already waits, for another worker. */
export function portWith(message: unknown, secrets: readonly Secret[]): MessagePort {
  const { port1, port2 } = new MessageChannel();
  leave(port1, message, secrets);
  return port2;
}

/** Takes one message in and closes the port; null when nothing came in time or the other side is gone. */
export function messageOn(port: MessagePort, timeoutMs = PORT_MS): Promise<unknown> {
  return new Promise((resolve) => {
    const end = (message: unknown) => {
      clearTimeout(timer);
      port.close();
      resolve(message);
    };
    const timer = setTimeout(() => end(null), timeoutMs);
    port.on('message', end);
    port.on('close', () => end(null));
  });
}

/** A port on which a copy of the secret waits. */
export function handOnSecret(secret: Secret): MessagePort {
  const copy = copyOf(secret);
  return portWith(copy, [copy]);
}

/** Takes the secret in and closes the port; null when none came. */
export async function takeInSecret(port: MessagePort): Promise<Secret | null> {
  const secret = await messageOn(port);
  return secret instanceof Uint8Array ? (secret as Secret) : null;
}
