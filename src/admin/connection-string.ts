import { npubEncode, readPubkey } from './npub.ts';

const SHAPE = /^bunker:\/\/([^@/?]+)@(\S+)$/;

/** What an admin client is given to reach the daemon: `bunker://<npub>@<relays>`, relays without `wss://`. */
export function connectionString(pubkey: string, relays: readonly string[]): string {
  const list = relays.map((relay) => relay.replace(/^wss:\/\//, '')).join(',');
  return `bunker://${npubEncode(pubkey)}@${encodeURIComponent(list)}`;
}

/** The inverse; null for what is no connection string. */
export function readConnectionString(text: string): { pubkey: string; relays: string[] } | null {
  const [, npub = '', list = ''] = SHAPE.exec(text.trim()) ?? [];
  const pubkey = readPubkey(npub);
  if (pubkey === null) return null;
  try {
    const relays = decodeURIComponent(list)
      .split(',')
      .filter((relay) => relay !== '')
      .map((relay) => (/^wss?:\/\//.test(relay) ? relay : `wss://${relay}`));
    return relays.length === 0 ? null : { pubkey, relays };
  } catch {
    return null;
  }
}
