import { decode, npubEncode as encode } from 'nostr-tools/nip19';

/** NIP-19 form of a public key in hex. */
export function npubEncode(pubkey: string): string {
  return encode(pubkey);
}

/** A public key given as npub or hex, in hex; null when it is neither. */
export function readPubkey(text: string): string | null {
  if (/^[0-9a-fA-F]{64}$/.test(text)) return text.toLowerCase();
  if (!text.startsWith('npub1')) return null;
  try {
    const decoded = decode(text);
    return decoded.type === 'npub' ? decoded.data : null;
  } catch {
    return null;
  }
}
