import { createHmac } from 'node:crypto';
import { type Secret, wipe } from '../actor/protocol.ts';
import { cutSecrets } from './cut-secrets.ts';

/** A decrypted admin request. */
export interface AdminRequest {
  id: string;
  method: string;
  /** As they came; the text of a secret one is `""` here and in `secrets` by its index. */
  params: readonly unknown[];
  secrets: ReadonlyMap<number, Secret>;
}

const MAX_ID = 256;

/**
 * Reads the plaintext of an admin request. Passphrases and keys in it come out as bytes, never as strings.
 *
 * @param secretParams the indexes of a method's secret parameters; null for a method that does not exist, whose
 *   parameters are then all taken for secrets: `unlock_kye` carries a passphrase too
 * @returns null when it is not a request: no JSON object, no id, no method
 */
export function readRequest(
  plaintext: Uint8Array,
  secretParams: (method: string) => readonly number[] | null,
): AdminRequest | null {
  const head = cutSecrets(plaintext, (path) => path.length === 1 && path[0] !== 'id' && path[0] !== 'method');
  if (head === null) return null;
  wipe(...head.secrets.map((secret) => secret.bytes));
  if (typeof head.value !== 'object' || head.value === null || Array.isArray(head.value)) return null;
  const { id: rawId, method } = head.value as { id?: unknown; method?: unknown };
  const id = typeof rawId === 'number' ? String(rawId) : rawId;
  if (typeof id !== 'string' || id.length > MAX_ID || typeof method !== 'string' || method === '') return null;

  const secret = secretParams(method);
  const isSecret = (index: unknown) => secret === null || secret.includes(index as number);
  // A key of the request that nobody reads may hold anything: it is cut as well.
  const cut = cutSecrets(plaintext, (path) =>
    path[0] === 'params'
      ? (path.length === 1 && secret === null) || (path.length === 2 && isSecret(path[1]))
      : path.length === 1 && path[0] !== 'id' && path[0] !== 'method',
  );
  if (cut === null) return null;
  const secrets = new Map<number, Secret>();
  for (const { path, bytes } of cut.secrets) {
    const [top, index] = path;
    if (top === 'params' && path.length === 2 && typeof index === 'number') secrets.set(index, bytes);
    else wipe(bytes);
  }
  const { params } = cut.value as { params?: unknown };
  return { id, method, params: Array.isArray(params) ? params : [], secrets };
}

/** Overwrites the secrets of a request that has been dealt with. */
export function wipeRequest(request: AdminRequest): void {
  wipe(...request.secrets.values());
}

/**
 * Knows a request that comes again: sender, id, method and every parameter. Keyed, with a key that lives as long as
 * this thread, so that what is kept of a passphrase can be compared and not guessed.
 */
export function requestFingerprint(key: Secret, admin: string, request: AdminRequest): string {
  const hash = createHmac('sha256', key);
  hash.update(JSON.stringify([admin, request.id, request.method, request.params]));
  for (const [index, bytes] of request.secrets) hash.update(`\n${index}:${bytes.length}:`).update(bytes);
  return hash.digest('hex');
}
