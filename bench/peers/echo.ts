import { fork } from 'node:child_process';
import { join } from 'node:path';
import { getPublicKey } from 'nostr-tools';
import { next } from '../load/next.ts';
import { newSecretKey, type RunningSigner } from './signer.ts';

/** The embedded relay in a process of its own, which verifies nothing, and one client that talks to itself. */
export async function startEcho(): Promise<RunningSigner> {
  const relayProcess = fork(join(import.meta.dirname, 'relay.ts'));
  const relay = (await next(relayProcess)) as string;
  const secretKey = newSecretKey();
  const remote = getPublicKey(Uint8Array.from(Buffer.from(secretKey, 'hex')));
  const close = async () => void relayProcess.kill();
  return { pid: relayProcess.pid!, relay, clients: [{ secretKey, remote }], close };
}
