/**
 * An admin as nsecbunkerd's web interface is one: NDK 2.8.1's NDKNostrRpc, results parsed as it parses them. In a
 * process of its own, played over the process's channel; see web-interface.ts
 */
import NDK, { NDKNostrRpc, NDKPrivateKeySigner } from 'ndk-2.8.1';
import { nip19 } from 'nostr-tools';

const [relay, nsec, daemon] = process.argv.slice(2) as [string, string, string];
const decoded = nip19.decode(nsec);
if (decoded.type !== 'nsec') throw new Error('not an nsec');
const signer = new NDKPrivateKeySigner(Buffer.from(decoded.data).toString('hex'));
const ndk = new NDK({ explicitRelayUrls: [relay], signer });
// What this release's debug output wants of a logger.
const debug = Object.assign(() => {}, { extend: () => debug }) as never;
const rpc = new NDKNostrRpc(ndk, signer, debug);
await ndk.connect(2_000);
const { pubkey } = await signer.user();
await rpc.subscribe({ kinds: [24134 as never], '#p': [pubkey] });

rpc.on('request', (request: { id: string; method: string; params: string[] }) => {
  process.send!({ asked: { id: request.id, method: request.method, params: request.params } });
});

process.on(
  'message',
  (message: { call?: { n: number; method: string; params: string[] }; answer?: [string, string] }) => {
    if (message.answer !== undefined)
      void rpc.sendResponse(message.answer[0], daemon, message.answer[1], 24134 as never);
    if (message.call === undefined) return;
    const { n, method, params } = message.call;
    void rpc.sendRequest(daemon, method, params, 24134, ({ result, error }: { result: string; error?: string }) => {
      process.send!({ n, result, error });
    });
  },
);
process.send!({ ready: true });
