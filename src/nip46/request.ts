/** NIP-46's JSON-RPC: what a decrypted request says and what a response looks like. docs/PROTOCOL.md */

export interface Request {
  /** As the client chose it; echoed verbatim. A number is echoed as the string that it prints as. */
  id: string;
  method: string;
  /** Strings; an absent or null parameter is an empty string. */
  params: string[];
}

/** A message that is answered although it cannot be carried out. */
export interface BadRequest {
  id: string;
  method: string;
  error: string;
}

const MAX_ID = 256;
const MAX_PARAMS = 16;

/**
 * Reads a decrypted message.
 *
 * @returns null for what is no request at all (not JSON, no usable id, no method, shaped like a response): nobody
 * to answer, and an error is never answered with an error.
 */
export function parseRequest(text: string): Request | BadRequest | null {
  let message: unknown;
  try {
    message = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof message !== 'object' || message === null || Array.isArray(message)) return null;
  const { id: rawId, method, params } = message as { id?: unknown; method?: unknown; params?: unknown };
  const id = typeof rawId === 'number' ? String(rawId) : rawId;
  if (typeof id !== 'string' || id.length === 0 || id.length > MAX_ID) return null;
  if (typeof method !== 'string' || method === '') return null;

  const list = params ?? [];
  if (!Array.isArray(list)) return { id, method, error: 'invalid params: an array of strings is needed' };
  if (list.length > MAX_PARAMS) return { id, method, error: `invalid params: more than ${MAX_PARAMS}` };
  const strings: string[] = [];
  for (const [i, param] of list.entries()) {
    if (param !== null && typeof param !== 'string') {
      return { id, method, error: `invalid params: parameter ${i + 1} is not a string` };
    }
    strings.push(param ?? '');
  }
  return { id, method, params: strings };
}

/** A success has no `error` member: `null` breaks nostrify and snstr, an empty string rust-nostr. */
export function successResponse(id: string, result: string): string {
  return JSON.stringify({ id, result });
}

/** An error carries an empty string as its result: NDK looks at `result` alone and must not find a word there. */
export function errorResponse(id: string, error: string): string {
  return JSON.stringify({ id, result: '', error });
}

/**
 * Whether a decrypted text could be a NIP-46 or admin message: a JSON object with `id` and `method`, or `id` and
 * `result`. No client may have such a text decrypted for it (docs/POLICY.md, before any rule).
 */
export function looksLikeRpc(text: string): boolean {
  if (!text.includes('"id"') && !text.includes('\\u')) return false;
  let message: unknown;
  try {
    // Whoever reads a message as UTF-8 may take a byte order mark off it first; `Envelope` does.
    message = JSON.parse(text.replace(/^\ufeff/, ''));
  } catch {
    return false;
  }
  if (typeof message !== 'object' || message === null || Array.isArray(message)) return false;
  return 'id' in message && ('method' in message || 'result' in message);
}
