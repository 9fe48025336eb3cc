import { once } from 'node:events';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { newSecret, type Secret } from './protocol.ts';

/** A port on which a copy of the secret waits, for another worker; the caller's own bytes stay the caller's to wipe. */
export function handOnSecret(secret: Secret): MessagePort {
  const copy = newSecret(secret.length);
  copy.set(secret);
  const { port1, port2 } = new MessageChannel();
  port1.postMessage(copy, [copy.buffer as ArrayBuffer]);
  // What was posted before the close still arrives, in whatever thread the other end is by then.
  port1.close();
  return port2;
}

/** Takes the secret in and closes the port; null when none came in time. */
export async function takeInSecret(port: MessagePort, timeoutMs: number): Promise<Secret | null> {
  try {
    const [secret] = (await once(port, 'message', { signal: AbortSignal.timeout(timeoutMs) })) as [unknown];
    return secret instanceof Uint8Array ? (secret as Secret) : null;
  } catch {
    return null;
  } finally {
    port.close();
  }
}
