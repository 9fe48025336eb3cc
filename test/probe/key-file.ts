import { hkdfSync, scryptSync } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { xchacha20poly1305 } from '@noble/ciphers/chacha.js';

/** KEKs of slots: a test opens many keys of one. */
const keks = new Map<string, Buffer>();

/** Opens a sealed key as docs/KEYSTORE.md describes it, with none of the daemon's code. `name`: its own, or the pubkey. */
export function openKeyFile(
  keystore: string,
  name: string,
  passphrase: string,
): { privateKey: Uint8Array; unsealingKey: Uint8Array } {
  const read = (file: string) => JSON.parse(readFileSync(join(keystore, file), 'utf8'));
  const sealed = /^[0-9a-f]{64}$/.test(name)
    ? read(`${name}.json`)
    : readdirSync(keystore)
        .filter((file) => /^[0-9a-f]{64}\.json$/.test(file))
        .map(read)
        .find((key) => key.name === name);
  if (sealed === undefined) throw new Error(`no key file of ${name}`);
  const slot = read('keystore.json').slots.find((one: { id: string }) => one.id === sealed.slot);
  const salt = Buffer.from(slot.salt, 'base64');
  const N = 2 ** slot.logN;
  const known = `${slot.salt} ${passphrase}`;
  const kek =
    keks.get(known) ??
    scryptSync(passphrase.normalize('NFKC'), salt, 32, { N, r: slot.r, p: slot.p, maxmem: 256 * N * slot.r });
  keks.set(known, kek);
  const pubkey = Buffer.from(sealed.pubkey, 'hex');
  const info = Buffer.concat([Buffer.from('redoubt key v1'), pubkey]);
  const unsealingKey = new Uint8Array(hkdfSync('sha256', kek, '', info, 32));
  const nameBytes = Buffer.from(sealed.name);
  const length = Buffer.alloc(2);
  length.writeUInt16BE(nameBytes.length);
  const associated = Buffer.concat([
    Buffer.from('redoubt-key'),
    Buffer.from([sealed.version]),
    length,
    nameBytes,
    pubkey,
    Buffer.from(slot.id),
    Buffer.from([slot.logN]),
    salt,
  ]);
  const cipher = xchacha20poly1305(unsealingKey, Buffer.from(sealed.nonce, 'base64'), associated);
  return { privateKey: cipher.decrypt(Buffer.from(sealed.ciphertext, 'base64')), unsealingKey };
}
