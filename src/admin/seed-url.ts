import { npubEncode } from './npub.ts';

/** What a machine is given at its first boot: `spire-seed:v1:` and base64url of JSON. docs/PAIRING.md */
export function seedUrl(pubkey: string, bunkerUrl: string, relays: readonly string[]): string {
  const seed = { spire_npub: npubEncode(pubkey), spire_pubkey: pubkey, bunker_url: bunkerUrl, relays };
  return `spire-seed:v1:${Buffer.from(JSON.stringify(seed)).toString('base64url')}`;
}
