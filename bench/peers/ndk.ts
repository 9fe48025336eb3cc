import { fork } from 'node:child_process';
import { join } from 'node:path';
import { getPublicKey } from 'nostr-tools';
import { RpcClient } from '../../test/support/rpc.ts';
import { next } from '../load/next.ts';
import type { BoundClient } from '../load/protocol.ts';
import { newSecretKey, type RunningSigner } from './signer.ts';

const PING_MS = 500;
const PINGS = 20;

/** NDK's NDKNip46Backend, which allows everything and records nothing, over a relay in a process of its own. */
export function startNdk(keys: number): Promise<RunningSigner> {
  return startPeer('ndk-backend.ts', keys);
}

/** A plain loop of nostr-tools calls, likewise. */
export function startPlain(keys: number): Promise<RunningSigner> {
  return startPeer('plain-backend.ts', keys);
}

async function startPeer(program: string, keys: number): Promise<RunningSigner> {
  const relayProcess = fork(join(import.meta.dirname, 'relay.ts'));
  const relay = (await next(relayProcess)) as string;
  const secretKeys = Array.from({ length: keys }, newSecretKey);
  const backend = fork(join(import.meta.dirname, program));
  backend.send({ relay, secretKeys });
  await next(backend);
  const clients = secretKeys.map((secretKey) => ({
    secretKey: newSecretKey(),
    remote: getPublicKey(bytes(secretKey)),
  }));
  for (const client of clients) await answers(client, relay);
  const close = async () => {
    backend.kill();
    relayProcess.kill();
  };
  return { pid: backend.pid!, relay, clients, close };
}

/** Its start() returns before the relay has its subscription: pings are sent until one is answered. */
async function answers({ secretKey, remote }: BoundClient, relay: string): Promise<void> {
  const client = await new RpcClient(bytes(secretKey), remote).open(relay);
  try {
    for (let i = 0; i < PINGS; i++) {
      const answer = await client.call('ping', [], { timeoutMs: PING_MS }).catch(() => null);
      if (answer?.result === 'pong') return;
    }
    throw new Error('the peer does not answer');
  } finally {
    client.close();
  }
}

function bytes(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex, 'hex'));
}
