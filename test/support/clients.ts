import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { generateSecretKey } from 'nostr-tools';

export interface SignedEvent {
  id: string;
  pubkey: string;
  kind: number;
  created_at: number;
  tags: string[][];
  content: string;
  sig: string;
}

/** What a NIP-46 client can do, whichever library it is made with. */
export interface SignerClient {
  /** Pairs with the token in the bunker URL. */
  connect(): Promise<void>;
  getPublicKey(): Promise<string>;
  sign(kind: number, content: string): Promise<SignedEvent>;
  encrypt(scheme: 'nip44' | 'nip04', pubkey: string, text: string): Promise<string>;
  decrypt(scheme: 'nip44' | 'nip04', pubkey: string, text: string): Promise<string>;
  ping(): Promise<void>;
  close(): Promise<void>;
}

/** The libraries of test/support/client-libraries.ts, in its order. */
export const libraries = [
  "nostr-tools' BunkerSigner",
  "NDK 3.0.3's NDKNip46Signer",
  "NDK 2.8.1's NDKNip46Signer (NIP-04)",
];

const CHILD = fileURLToPath(new URL('client.ts', import.meta.url));

/**
 * A client in a process of its own, as clients are: some libraries keep timers that nothing ends but the process.
 * @param clientKey hex; the same key again is the same client, which needs no second connect
 */
export async function openClient(library: string, bunkerUrl: string, clientKey: string): Promise<SignerClient> {
  const { call, client } = start(library, bunkerUrl, clientKey);
  await call('open');
  return client;
}

/** A client that shows a nostrconnect:// URI and waits for a signer on that relay, in a process of its own. */
export async function inviteSigner(
  library: string,
  relay: string,
  clientKey: string,
): Promise<{ uri: string; accepted: () => Promise<SignerClient>; close: () => Promise<void> }> {
  const { call, client } = start(library, relay, clientKey);
  const uri = await call<string>('invite');
  return { uri, accepted: () => call('accepted').then(() => client), close: client.close };
}

function start(library: string, address: string, clientKey: string) {
  const child = fork(CHILD, [String(libraries.indexOf(library)), address, clientKey], { stdio: 'ignore' });
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  let next = 1;
  child.on('message', ({ id, value, error }: { id: number; value?: unknown; error?: string }) => {
    const one = waiting.get(id);
    waiting.delete(id);
    if (error === undefined) one?.resolve(value);
    else one?.reject(new Error(error));
  });
  child.on('exit', () => {
    for (const one of waiting.values()) one.reject(new Error('the client ended'));
  });
  const call = <T>(method: string, ...args: unknown[]): Promise<T> =>
    new Promise((resolve, reject) => {
      waiting.set(next, { resolve: resolve as (value: unknown) => void, reject });
      child.send({ id: next++, method, args });
    });
  const client: SignerClient = {
    connect: () => call('connect'),
    getPublicKey: () => call('getPublicKey'),
    sign: (kind, content) => call('sign', kind, content),
    encrypt: (...args) => call('encrypt', ...args),
    decrypt: (...args) => call('decrypt', ...args),
    ping: () => call('ping'),
    close: () => end(child),
  };
  return { call, client };
}

export function newClientKey(): string {
  return Buffer.from(generateSecretKey()).toString('hex');
}

async function end(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}
