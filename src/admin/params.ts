import { createHmac } from 'node:crypto';
import { type Secret, wipe } from '../actor/protocol.ts';
import { type Cut, cutSecrets, type JsonPath, valueAt } from './cut-secrets.ts';

/** A parameter with secrets in it. */
export interface SecretParam {
  index: number;
  /** Null: the parameter is one secret. Else it is JSON, and of its members all but these are secrets. */
  open: readonly string[] | null;
}

/** A decrypted admin request. */
export interface AdminRequest {
  id: string;
  method: string;
  /** As they came, but that JSON with secrets in it is parsed; the text of a secret is `""` here and in `secrets`. */
  params: readonly unknown[];
  /** `path` starts with the parameter's index. */
  secrets: readonly { path: JsonPath; bytes: Secret }[];
}

/** A decrypted answer of an admin to what the daemon asked. */
export interface AdminResponse {
  id: string;
  /** As it came: JSON text, mostly. */
  result: unknown;
}

const MAX_ID = 256;
const OPENING_BRACE = 0x7b;

/**
 * Reads the plaintext of an admin request. Passphrases and keys in it come out as bytes, never as strings.
 *
 * @param secretParams a method's parameters with secrets; null for a method that does not exist, whose parameters are
 *   then all taken for secrets: `unlock_kye` carries a passphrase too
 * @returns null when it is not a request: no JSON object, no id, no method
 */
export function readRequest(
  plaintext: Uint8Array,
  secretParams: (method: string) => readonly SecretParam[] | null,
): AdminRequest | null {
  const head = cutSecrets(plaintext, (path) => path.length === 1 && path[0] !== 'id' && path[0] !== 'method');
  if (head === null) return null;
  wipe(...head.secrets.map((secret) => secret.bytes));
  if (typeof head.value !== 'object' || head.value === null || Array.isArray(head.value)) return null;
  const { id: rawId, method, params: shape } = head.value as { id?: unknown; method?: unknown; params?: unknown };
  const id = typeof rawId === 'number' ? String(rawId) : rawId;
  if (typeof id !== 'string' || id.length > MAX_ID || typeof method !== 'string' || method === '') return null;

  const secret = secretParams(method);
  const isSecret = (path: JsonPath) => {
    if (secret === null || !Array.isArray(shape)) return path.length === 0;
    const param = secret.find(({ index }) => index === path[0]);
    if (param === undefined) return false;
    // JSON as text is cut out as a whole, and then looked into.
    if (path.length === 1) return param.open === null || valueAt(shape, path) === '';
    return path.length === 2 && !isOpen(param, path[1]!);
  };
  // A key of the request that nobody reads may hold anything: it is cut as well.
  const cut = cutSecrets(plaintext, (path) =>
    path[0] === 'params' ? isSecret(path.slice(1)) : path.length === 1 && path[0] !== 'id' && path[0] !== 'method',
  );
  if (cut === null) return null;
  const params = valueAt(cut.value, ['params']);
  if (!Array.isArray(params)) {
    wipe(...cut.secrets.map(({ bytes }) => bytes));
    return { id, method, params: [], secrets: [] };
  }
  const secrets: { path: JsonPath; bytes: Secret }[] = [];
  for (const { path, bytes } of cut.secrets) {
    const [top, index] = path;
    const param = top === 'params' ? secret?.find((param) => param.index === index) : undefined;
    const isText = path.length === 2;
    if (param === undefined || (param.open === null && !isText)) wipe(bytes);
    else if (param.open === null || !isText) secrets.push({ path: path.slice(1), bytes });
    else {
      const read = cutObject(bytes, param);
      params[param.index] = read?.value ?? '';
      for (const inner of read?.secrets ?? []) {
        secrets.push({ path: [param.index, ...inner.path], bytes: inner.bytes });
      }
      wipe(bytes);
    }
  }
  return { id, method, params, secrets };
}

/** Reads the plaintext of an admin's response: there are no secrets in one. Null when it is none. */
export function readResponse(plaintext: Uint8Array): AdminResponse | null {
  let message: unknown;
  try {
    message = JSON.parse(new TextDecoder().decode(plaintext));
  } catch {
    return null;
  }
  if (typeof message !== 'object' || message === null) return null;
  const { id, result, method } = message as { id?: unknown; result?: unknown; method?: unknown };
  if (method !== undefined || typeof id !== 'string' || id.length > MAX_ID) return null;
  return { id, result };
}

/** A parameter that is JSON text; null when it is none, or no object: text within text would hide its secrets. */
function cutObject(text: Uint8Array, param: SecretParam): Cut | null {
  const first = text.find((byte) => byte > 0x20);
  return first === OPENING_BRACE ? cutSecrets(text, (path) => path.length === 1 && !isOpen(param, path[0]!)) : null;
}

function isOpen(param: SecretParam, member: string | number): boolean {
  return param.open?.includes(member as string) === true;
}

/** Overwrites the secrets of a request that has been dealt with. */
export function wipeRequest(request: AdminRequest): void {
  wipe(...request.secrets.map(({ bytes }) => bytes));
}

/**
 * Knows a request that comes again: sender, id, method and every parameter. Keyed, with a key that lives as long as
 * this thread, so that what is kept of a passphrase can be compared and not guessed.
 */
export function requestFingerprint(key: Secret, admin: string, request: AdminRequest): string {
  const hash = createHmac('sha256', key);
  hash.update(JSON.stringify([admin, request.id, request.method, request.params]));
  for (const { path, bytes } of request.secrets) {
    hash.update(`\n${JSON.stringify(path)}:${bytes.length}:`).update(bytes);
  }
  return hash.digest('hex');
}
