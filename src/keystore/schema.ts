import type { SealedKey, Slot } from './protocol.ts';

/** Bytes; a name has at most 65,535 of them, each written as `\u00XX` in the worst case. */
export const MAX_KEY_FILE = 512 * 1024;
/** Bytes; room for 40,000 slots. */
export const MAX_SLOTS_FILE = 8 * 1024 * 1024;
export const MIN_LOG_N = 14;
export const MAX_LOG_N = 22;

const PUBKEY = /^[0-9a-f]{64}$/;
const SLOT_ID = /^[A-Za-z0-9_-]{1,64}$/;
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;

export function isPubkey(value: unknown): value is string {
  return typeof value === 'string' && PUBKEY.test(value);
}

export function isLogN(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= MIN_LOG_N && (value as number) <= MAX_LOG_N;
}

/** A key file's content, or null: it is not in the one form that we write, so it was changed or is not ours. */
export function parseSealedKey(bytes: Uint8Array): SealedKey | null {
  const value = parseObject(bytes, ['version', 'name', 'pubkey', 'slot', 'nonce', 'ciphertext']);
  if (value === null) return null;
  const { version, name, pubkey, slot, nonce, ciphertext } = value;
  if (version !== 1 || !isPubkey(pubkey) || !isSlotId(slot)) return null;
  if (typeof name !== 'string' || Buffer.byteLength(name) > 0xffff) return null;
  if (decodeBase64(nonce, 24) === null || decodeBase64(ciphertext, 48) === null) return null;
  return { version, name, pubkey, slot, nonce: nonce as string, ciphertext: ciphertext as string };
}

/**
 * The slots in keystore.json, or null. What scrypt is to work with is checked here, before anything is allocated for
 * it.
 */
export function parseSlots(bytes: Uint8Array): Slot[] | null {
  const value = parseObject(bytes, ['version', 'slots']);
  if (value === null || value.version !== 1 || !Array.isArray(value.slots)) return null;
  const slots: Slot[] = [];
  const ids = new Set<string>();
  for (const item of value.slots) {
    const slot = checkSlot(item);
    if (slot === null || ids.has(slot.id)) return null;
    ids.add(slot.id);
    slots.push(slot);
  }
  return slots;
}

function checkSlot(value: unknown): Slot | null {
  if (!hasExactly(value, ['id', 'salt', 'logN', 'r', 'p', 'check'])) return null;
  const { id, salt, logN, r, p, check } = value;
  if (!isSlotId(id) || r !== 8 || p !== 1) return null;
  if (!isLogN(logN)) return null;
  if (decodeBase64(salt, 32) === null || decodeBase64(check, 32) === null) return null;
  return { id, salt: salt as string, logN, r, p, check: check as string };
}

/** Bytes of standard base64 text, or null when it is anything but the one spelling of exactly so many bytes. */
export function decodeBase64(value: unknown, length: number): Uint8Array | null {
  if (typeof value !== 'string' || value.length !== Math.ceil(length / 3) * 4 || !BASE64.test(value)) return null;
  const bytes = Buffer.from(value, 'base64');
  if (bytes.length !== length || bytes.toString('base64') !== value) return null;
  return new Uint8Array(bytes);
}

export function encodeBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}

function isSlotId(value: unknown): value is string {
  return typeof value === 'string' && SLOT_ID.test(value);
}

function parseObject(bytes: Uint8Array, fields: readonly string[]): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    return hasExactly(value, fields) ? value : null;
  } catch {
    return null;
  }
}

function hasExactly(value: unknown, fields: readonly string[]): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  return Object.keys(value).length === fields.length && fields.every((field) => Object.hasOwn(value, field));
}
