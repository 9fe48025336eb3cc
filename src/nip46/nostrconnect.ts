import { clientRelayUrl } from '../relay/client-relay-url.ts';
import { clientLabel, labelOfMetadata } from './client-label.ts';

/** What a client's nostrconnect:// URI says (NIP-46, direct connection initiated by the client). */
export interface Invitation {
  /** Of the client, hex. */
  client: string;
  /** Where it listens: those that may be dialled, at most `MAX_RELAYS`. */
  relays: string[];
  /** What the connect response has to hold. */
  secret: string;
  /** What it calls itself; may be empty. */
  label: string;
  /** What it would like to be allowed: for people to read, and granted by nothing here. */
  perms: string;
}

export const MAX_RELAYS = 5;
const MAX_URI = 8192;
const MAX_SECRET = 256;
const MAX_PERMS = 1024;

/**
 * Reads a nostrconnect:// URI. Images are not fetched, and neither is anything else.
 *
 * @param allowPrivate relays at addresses that are not public, and `ws:`, may be dialled too
 * @returns `refusal`: what is wrong with it, as words that follow "the URI"; it never quotes the secret
 */
export function readInvitation(
  text: string,
  allowPrivate: boolean,
): { ok: true; invitation: Invitation } | { ok: false; refusal: string } {
  const uri = text.length <= MAX_URI ? URL.parse(text.trim()) : null;
  if (uri === null || uri.protocol !== 'nostrconnect:') return refused('is not a nostrconnect:// URI');
  const client = (uri.hostname || uri.pathname.replace(/^\/+/, '')).toLowerCase();
  if (!/^[0-9a-f]{64}$/.test(client)) return refused("has no client's public key (64 hex digits)");
  const given = uri.searchParams;
  const secret = given.get('secret') ?? '';
  if (secret === '') return refused('has no secret: without one the client cannot know who answers it');
  if (secret.length > MAX_SECRET) return refused(`has a secret of more than ${MAX_SECRET} characters`);

  const named = given.getAll('relay').filter((url) => url !== '');
  if (named.length === 0) return refused('names no relay');
  const checked = named.map((url) => clientRelayUrl(url, allowPrivate));
  const relays = [...new Set(checked.flatMap((one) => (one.ok ? [one.url] : [])))].slice(0, MAX_RELAYS);
  if (relays.length === 0) {
    const why = checked.flatMap((one) => (one.ok ? [] : [one.why]))[0];
    return refused(`names no relay that may be dialled (the first one ${why}); allowPrivateRelays allows private ones`);
  }
  const label = clientLabel(given.get('name')) || labelOfMetadata(given.get('metadata') ?? '');
  const perms = (given.get('perms') ?? '').slice(0, MAX_PERMS);
  return { ok: true, invitation: { client, relays, secret, label, perms } };
}

function refused(what: string): { ok: false; refusal: string } {
  return { ok: false, refusal: `the URI ${what}` };
}
