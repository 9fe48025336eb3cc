import { chmodSync, existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { newSecret, type Secret, wipe } from '../actor/protocol.ts';
import type { Curve } from '../curve/curve.ts';
import type { Random } from '../curve/random.ts';
import { writeDurably } from '../keystore/durable.ts';
import { exportKey } from '../keystore/export.ts';
import { parseImport, wipeImport } from '../keystore/import.ts';
import { readBounded } from '../keystore/read-bounded.ts';
import { bytesToHex } from '../nip46/hex.ts';
import { readConfigFile } from './config-file.ts';
import { npubEncode } from './npub.ts';

export interface QuickstartFiles {
  config: string;
  adminNsec: string;
  passphrase: string;
}

type Outcome<T> = { ok: true; value: T } | { ok: false; refusal: string };

const BASE64URL = new TextEncoder().encode('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_');
const PASSPHRASE_LENGTH = 32;

export function quickstartFiles(data: string): QuickstartFiles {
  return {
    config: join(data, 'nsecbunker.json'),
    adminNsec: join(data, 'admin.nsec'),
    passphrase: join(data, 'passphrase'),
  };
}

/**
 * Makes a data folder for a signer that nothing was configured for, or finds the one that an earlier start made: an
 * admin identity, a passphrase, and last the configuration, so that a crash in between leaves a folder that the next
 * start completes. Every file is 0600, the folder 0700.
 *
 * @returns the admin identity's pubkey in hex, or in one line why the folder is not taken
 */
export function makeQuickstartFiles(data: string, curve: Curve, random: Random): Outcome<{ adminPubkey: string }> {
  const files = quickstartFiles(data);
  try {
    mkdirSync(data, { recursive: true, mode: 0o700 });
    chmodSync(data, 0o700);
    const configured = existsSync(files.config);
    if (configured) {
      const read = readConfigFile(files.config);
      if (!read.ok) return read;
      wipe(read.adminKey);
      if (!read.quickstart) {
        const refusal = `${files.config} is a configuration that no quickstart made: use "redoubt start", or another folder`;
        return { ok: false, refusal };
      }
    }
    const identity = adminIdentity(files.adminNsec, configured, curve, random);
    if (!identity.ok) return identity;
    const passphrase = makePassphrase(files.passphrase, join(data, 'keystore'), random);
    if (!passphrase.ok) return passphrase;
    if (!configured) writeConfig(files.config, identity.value, random);
    return { ok: true, value: { adminPubkey: identity.value } };
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === undefined) throw error;
    return {
      ok: false,
      refusal: `the data folder ${data} cannot be written (${code}): see to its owner, or use --data`,
    };
  }
}

function adminIdentity(path: string, configured: boolean, curve: Curve, random: Random): Outcome<string> {
  const read = readBounded(path, 4096);
  if (read.ok) {
    const imported = parseImport(read.bytes);
    wipe(read.bytes);
    try {
      if (imported.ok && imported.form === 'plain') return { ok: true, value: publicKey(curve, imported.privateKey) };
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
    } finally {
      wipeImport(imported);
    }
    return { ok: false, refusal: `${path} holds no nsec: put the admin's nsec back, or use another folder` };
  }
  if (read.why !== 'missing') return { ok: false, refusal: `${path} cannot be read: see to its owner and mode` };
  if (configured) {
    return { ok: false, refusal: `${path} is missing: put the admin's nsec back, or use another folder` };
  }
  const key = randomKey(random);
  const nsec = exportKey(key, { form: 'nsec' }, random);
  const line = withNewline(nsec);
  try {
    writeDurably(path, line);
    return { ok: true, value: publicKey(curve, key) };
  } finally {
    wipe(key, nsec, line);
  }
}

function makePassphrase(path: string, keystore: string, random: Random): Outcome<null> {
  if (existsSync(path)) return { ok: true, value: null };
  if (existsSync(keystore) && readdirSync(keystore).some((file) => /^[0-9a-f]{64}\.json$/.test(file))) {
    return { ok: false, refusal: `${path} is missing, and ${keystore} holds keys under it: put it back` };
  }
  const bytes = random(PASSPHRASE_LENGTH);
  const line = newSecret(PASSPHRASE_LENGTH + 1);
  for (let i = 0; i < PASSPHRASE_LENGTH; i++) line[i] = BASE64URL[bytes[i]! & 63]!;
  line[PASSPHRASE_LENGTH] = 0x0a;
  try {
    writeDurably(path, line);
    return { ok: true, value: null };
  } finally {
    wipe(bytes, line);
  }
}

/**
 * The configuration is put together from bytes: the daemon's key in it never is a string. It names no path, so that
 * the folder may be moved.
 */
function writeConfig(path: string, adminPubkey: string, random: Random): void {
  const config = {
    admin: { key: '', npubs: [npubEncode(adminPubkey)], adminRelays: [], notifyAdminsOnBoot: true },
    nostr: { relays: [] },
    keys: {},
    redoubt: { quickstart: true },
  };
  const text = new TextEncoder().encode(`${JSON.stringify(config, null, 2)}\n`);
  const gap = new TextDecoder().decode(text).indexOf('"key": "') + '"key": "'.length;
  const key = randomKey(random);
  const hex = exportKey(key, { form: 'hex' }, random);
  const whole = newSecret(text.length + hex.length);
  whole.set(text.subarray(0, gap));
  whole.set(hex, gap);
  whole.set(text.subarray(gap), gap + hex.length);
  try {
    writeDurably(path, whole);
  } finally {
    wipe(key, hex, whole);
  }
}

/** 32 random bytes are a private key but for one chance in 2^128, and then `openKey` refuses them. */
function randomKey(random: Random): Secret {
  const bytes = random(32);
  const key = newSecret(32);
  key.set(bytes);
  wipe(bytes);
  return key;
}

function publicKey(curve: Curve, secret: Secret): string {
  const key = curve.openKey(secret);
  try {
    return bytesToHex(key.publicKey);
  } finally {
    key.wipe();
  }
}

function withNewline(text: Secret): Secret {
  const line = newSecret(text.length + 1);
  line.set(text);
  line[text.length] = 0x0a;
  return line;
}
