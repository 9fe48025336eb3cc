/**
 * A relay's URL in the one form that we compare: host in lower case, no default port, no slash at the end, no fragment.
 * Null when it is not a ws: or wss: URL.
 */
export function relayUrl(text: string): string | null {
  const url = URL.parse(text.trim());
  if (url === null || (url.protocol !== 'ws:' && url.protocol !== 'wss:') || url.hostname === '') return null;
  url.hash = '';
  return url.search === '' ? url.href.replace(/\/+$/, '') : url.href;
}
