import { type Secret, wipe } from '../src/actor/protocol.ts';
import { MAX_CONFIG_BYTES } from '../src/admin/config-size.ts';
import { cutSecrets, type JsonPath, valueAt } from '../src/admin/cut-secrets.ts';
import { readBounded } from '../src/keystore/read-bounded.ts';

const IV = /^[0-9a-f]{32}$/i;
/** AES blocks in hex; an nsec takes four. */
const DATA = /^(?:[0-9a-f]{32}){1,64}$/i;

export type Entry =
  | { form: 'encrypted'; iv: string; data: string }
  /** nsec or hex, for the caller to wipe. */
  | { form: 'plain'; text: Secret }
  | { form: 'damaged' };

export type KeysRead = { ok: true; entries: Map<string, Entry> } | { ok: false; refusal: string };

/** The entries of these names in nsecbunker.json, as bytes where they are secret. For workers only. */
export function readKeys(file: string, names: ReadonlySet<string>): KeysRead {
  const read = readBounded(file, MAX_CONFIG_BYTES);
  if (!read.ok)
    return { ok: false, refusal: `${file} cannot be read (${read.code || read.why}): see to its owner and mode` };
  const cut = cutSecrets(read.bytes, isSecret);
  wipe(read.bytes);
  if (cut === null) return { ok: false, refusal: `${file} is not JSON: put it back from a backup` };
  const entries = new Map<string, Entry>();
  for (const name of names) {
    const value = valueAt(cut.value, ['keys', name]);
    if (value === undefined) continue;
    const at = cut.secrets.findIndex(
      ({ path }) => path.length === 3 && path[0] === 'keys' && path[1] === name && path[2] === 'key',
    );
    const text = at === -1 ? undefined : cut.secrets.splice(at, 1)[0]!.bytes;
    entries.set(name, entryOf(value, text));
  }
  wipe(...cut.secrets.map(({ bytes }) => bytes));
  return { ok: true, entries };
}

export function wipeEntries(entries: Map<string, Entry>): void {
  for (const entry of entries.values()) if (entry.form === 'plain') wipe(entry.text);
}

function entryOf(value: unknown, text: Secret | undefined): Entry {
  const { iv, data } = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>;
  if (typeof iv === 'string' && typeof data === 'string') {
    wipe(text);
    return IV.test(iv) && DATA.test(data) ? { form: 'encrypted', iv, data } : { form: 'damaged' };
  }
  return text === undefined ? { form: 'damaged' } : { form: 'plain', text };
}

/** Everything that may be one, but for the ciphertext of keys. */
function isSecret(path: JsonPath): boolean {
  const [top, second, third] = path;
  if (path.length === 2) return top === 'domains' || (top === 'admin' && second === 'key');
  return path.length === 3 && top === 'keys' && third !== 'iv' && third !== 'data';
}
