/** Client libraries that no one here wrote, behind one face. They run in a process of their own: test/support/client.ts */
import NDK, { NDKEvent, NDKNip46Signer, NDKPrivateKeySigner, NDKUser } from '@nostr-dev-kit/ndk';
import OldNDK, {
  NDKEvent as OldEvent,
  NDKPrivateKeySigner as OldLocalSigner,
  NDKNip46Signer as OldSigner,
  NDKUser as OldUser,
} from 'ndk-2.8.1';
import { getPublicKey, nip19 } from 'nostr-tools';
import { BunkerSigner, createNostrConnectURI, parseBunkerInput } from 'nostr-tools/nip46';
import type { SignedEvent, SignerClient } from './clients.ts';
import { parseBunkerUrl } from './rpc.ts';

const now = () => Math.floor(Date.now() / 1000);
const bytes = (hex: string) => Uint8Array.from(Buffer.from(hex, 'hex'));

interface ClientLibrary {
  name: string;
  open(bunkerUrl: string, clientKey: string): Promise<SignerClient>;
  /** Shows a nostrconnect:// URI (NIP-46), and waits on that relay for a signer to answer it. */
  invite?(relay: string, clientKey: string): Promise<{ uri: string; accepted: Promise<SignerClient> }>;
}

const nostrTools: ClientLibrary = {
  name: "nostr-tools' BunkerSigner",
  async open(bunkerUrl, clientKey) {
    const pointer = await parseBunkerInput(bunkerUrl);
    if (pointer === null) throw new Error('nostr-tools does not understand the bunker URL');
    return faceOfNostrTools(BunkerSigner.fromBunker(bytes(clientKey), pointer));
  },
  async invite(relay, clientKey) {
    const clientPubkey = getPublicKey(bytes(clientKey));
    const secret = Math.random().toString(36).slice(2);
    const uri = createNostrConnectURI({ clientPubkey, relays: [relay], secret, name: 'a nostr-tools app' });
    return { uri, accepted: BunkerSigner.fromURI(bytes(clientKey), uri).then(faceOfNostrTools) };
  },
};

function faceOfNostrTools(signer: BunkerSigner): SignerClient {
  return {
    connect: () => signer.connect(),
    getPublicKey: () => signer.getPublicKey(),
    sign: (kind, content) => signer.signEvent({ kind, content, tags: [['t', 'test']], created_at: now() }),
    encrypt: (scheme, pubkey, text) =>
      scheme === 'nip44' ? signer.nip44Encrypt(pubkey, text) : signer.nip04Encrypt(pubkey, text),
    decrypt: (scheme, pubkey, text) =>
      scheme === 'nip44' ? signer.nip44Decrypt(pubkey, text) : signer.nip04Decrypt(pubkey, text),
    ping: () => signer.ping(),
    close: () => signer.close(),
  };
}

const ndk3: ClientLibrary = {
  name: "NDK 3.0.3's NDKNip46Signer",
  async open(bunkerUrl, clientKey) {
    const { relays, pubkey: bunker } = parseBunkerUrl(bunkerUrl);
    const ndk = new NDK({ explicitRelayUrls: relays });
    await ndk.connect(2_000);
    const signer = NDKNip46Signer.bunker(ndk, bunkerUrl, new NDKPrivateKeySigner(clientKey));
    await (signer as unknown as { startListening(): Promise<void> }).startListening();
    return faceOfNdk3(ndk, signer, bunker);
  },
  async invite(relay, clientKey) {
    const ndk = new NDK({ explicitRelayUrls: [relay] });
    await ndk.connect(2_000);
    const options = { name: 'an NDK app' };
    const signer = NDKNip46Signer.nostrconnect(ndk, relay, new NDKPrivateKeySigner(clientKey), options);
    const accepted = signer.blockUntilReady().then(() => faceOfNdk3(ndk, signer, signer.bunkerPubkey!));
    return { uri: signer.nostrConnectUri!, accepted };
  },
};

function faceOfNdk3(ndk: NDK, signer: NDKNip46Signer, bunker: string): SignerClient {
  return {
    connect: async () => void (await signer.blockUntilReady()),
    getPublicKey: () => signer.getPublicKey(),
    sign: async (kind, content) => {
      const pubkey = await signer.getPublicKey();
      const event = new NDKEvent(ndk, { kind, content, tags: [['t', 'test']], created_at: now(), pubkey });
      event.sig = await signer.sign(event.rawEvent() as never);
      event.id = event.getEventHash();
      return event.rawEvent() as SignedEvent;
    },
    encrypt: (scheme, pubkey, text) => signer.encrypt(new NDKUser({ pubkey }), text, scheme),
    decrypt: (scheme, pubkey, text) => signer.decrypt(new NDKUser({ pubkey }), text, scheme),
    ping: () => rpcCall(signer.rpc, bunker, 'ping', []).then((result) => expectPong(result)),
    close: async () => {
      signer.stop();
      for (const relay of ndk.pool.relays.values()) relay.disconnect();
    },
  };
}

const ndk2: ClientLibrary = {
  name: "NDK 2.8.1's NDKNip46Signer (NIP-04)",
  async open(bunkerUrl, clientKey) {
    const { relays, secret, pubkey: bunker } = parseBunkerUrl(bunkerUrl);
    const ndk = new OldNDK({ explicitRelayUrls: relays });
    await ndk.connect(2_000);
    const signer = new OldSigner(ndk, `${nip19.npubEncode(bunker)}#${secret}`, new OldLocalSigner(clientKey));
    await (signer as unknown as { startListening(): Promise<void> }).startListening();
    return {
      connect: async () => void (await signer.blockUntilReady()),
      getPublicKey: () => rpcCall(signer.rpc, bunker, 'get_public_key', []),
      sign: async (kind, content) => {
        const pubkey = (await signer.user()).pubkey;
        const event = new OldEvent(ndk, { kind, content, tags: [['t', 'test']], created_at: now(), pubkey });
        event.sig = await signer.sign(event.rawEvent() as never);
        event.id = event.getEventHash();
        return event.rawEvent() as SignedEvent;
      },
      // This release knows NIP-04 only; what it lacks goes through its own RPC class.
      encrypt: (scheme, pubkey, text) =>
        scheme === 'nip04'
          ? signer.encrypt(new OldUser({ pubkey }), text)
          : rpcCall(signer.rpc, bunker, 'nip44_encrypt', [pubkey, text]),
      decrypt: (scheme, pubkey, text) =>
        scheme === 'nip04'
          ? signer.decrypt(new OldUser({ pubkey }), text)
          : rpcCall(signer.rpc, bunker, 'nip44_decrypt', [pubkey, text]),
      ping: () => rpcCall(signer.rpc, bunker, 'ping', []).then((result) => expectPong(result)),
      close: async () => {
        for (const relay of ndk.pool.relays.values()) relay.disconnect();
      },
    };
  },
};

export const libraries: ClientLibrary[] = [nostrTools, ndk3, ndk2];

/** NDKNostrRpc of either release: its promise never settles, the answer comes to the callback. */
interface Rpc {
  // biome-ignore lint/suspicious/noExplicitAny: the two releases differ in what they say of the callback
  sendRequest(remote: string, method: string, params: string[], kind: number, done: (response: any) => void): unknown;
}

function rpcCall(rpc: Rpc, remote: string, method: string, params: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    rpc.sendRequest(remote, method, params, 24133, (response: { result: string; error?: string }) => {
      if (response.error) reject(new Error(response.error));
      else resolve(response.result);
    });
  });
}

function expectPong(result: string): void {
  if (result !== 'pong') throw new Error(`ping was answered with ${result}`);
}
