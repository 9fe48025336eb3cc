import { type Secret, wipe } from '../actor/protocol.ts';
import { cutSecrets } from '../admin/cut-secrets.ts';
import { MAX_PASSPHRASE, readSecretFile } from './passphrase-file.ts';

/** Ten thousand keys with long names fit in. */
const MAX_BYTES = 16 * 1024 * 1024;

/** `entries`: name -> passphrase, for the caller to wipe. */
export type PassphrasesRead =
  | { ok: true; entries: Map<string, Secret>; warnings: string[] }
  | { ok: false; refusal: string };

/** Reads a file with keys' own passphrases: JSON, name -> passphrase. None of them becomes a string. For workers only. */
export function readPassphrasesFile(path: string): PassphrasesRead {
  const read = readSecretFile(path, MAX_BYTES, 'passphrases file');
  if (!read.ok) return read;
  const cut = cutSecrets(read.bytes, (at) => at.length === 1);
  wipe(read.bytes);
  const refuse = (why: string): PassphrasesRead => {
    for (const { bytes } of cut?.secrets ?? []) wipe(bytes);
    return { ok: false, refusal: `passphrases file ${path} ${why}` };
  };
  if (cut === null) return refuse('is not JSON: see to its commas, quotes and brackets');
  if (typeof cut.value !== 'object' || cut.value === null || Array.isArray(cut.value)) {
    return refuse('must hold one object {"name of the key": "its passphrase"}');
  }
  const entries = new Map<string, Secret>();
  for (const { path: at, bytes } of cut.secrets) if (at.length === 1) entries.set(String(at[0]), bytes);
  // Who mixed the two up has passphrases for names: entries are told by their number.
  for (const [i, name] of Object.keys(cut.value).entries()) {
    const passphrase = entries.get(name);
    if (passphrase === undefined) return refuse(`has no passphrase in quotes in its entry ${i + 1}`);
    if (passphrase.length === 0) return refuse(`has an empty passphrase in its entry ${i + 1}: write it there`);
    if (passphrase.length > MAX_PASSPHRASE) {
      return refuse(`has a passphrase of more than ${MAX_PASSPHRASE} bytes in its entry ${i + 1}`);
    }
  }
  if (entries.size === 0) return refuse('names no key: write {"name of the key": "its passphrase"}');
  return { ok: true, entries, warnings: read.warnings };
}

export function wipeEntries(entries: ReadonlyMap<string, Secret>): void {
  wipe(...entries.values());
}
