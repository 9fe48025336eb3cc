import { isIP } from 'node:net';
import { isPublicAddress } from './public-address.ts';
import { relayUrl } from './url.ts';

const MAX_URL = 512;

/**
 * A relay that somebody's client names: in the form that we compare, or why it is not dialled.
 *
 * @param allowPrivate `ws:` and addresses that are not public too
 */
export function clientRelayUrl(
  text: string,
  allowPrivate: boolean,
): { ok: true; url: string } | { ok: false; why: string } {
  const url = text.length <= MAX_URL ? relayUrl(text) : null;
  if (url === null) return { ok: false, why: 'is not a relay URL' };
  const { protocol, hostname, username, password } = new URL(url);
  if (username + password !== '') return { ok: false, why: 'has a user name in it' };
  if (allowPrivate) return { ok: true, url };
  if (protocol !== 'wss:') return { ok: false, why: 'is not a wss: URL' };
  const address = hostname.replace(/^\[|\]$/g, '');
  if (isIP(address) !== 0 && !isPublicAddress(address)) return { ok: false, why: 'is not at a public address' };
  return { ok: true, url };
}
