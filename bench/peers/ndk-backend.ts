/** NDK's own NIP-46 backend with an allow-all callback, one for each key, all in this process. */
import NDK, { NDKNip46Backend, NDKPrivateKeySigner } from '@nostr-dev-kit/ndk';

process.once('message', async ({ relay, secretKeys }: { relay: string; secretKeys: string[] }) => {
  const ndk = new NDK({ explicitRelayUrls: [relay], enableOutboxModel: false });
  await ndk.connect(2_000);
  for (const secretKey of secretKeys) {
    await new NDKNip46Backend(ndk, new NDKPrivateKeySigner(secretKey), async () => true, [relay]).start();
  }
  process.send!('started');
});
process.on('disconnect', () => process.exit());
