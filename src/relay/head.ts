import type { EventHead } from './protocol.ts';

/** An event as it came over a socket: its head, its tags, and its JSON text, unchanged. Nothing in it is verified. */
export interface WireEvent {
  head: EventHead;
  tags: readonly (readonly string[])[];
  raw: string;
}

/** Largest content of an event, bytes of UTF-8. */
export const DEFAULT_MAX_CONTENT = 256 * 1024;
/** What a frame may hold beside the content: ids, tags, the message around the event, escaped characters. */
export const FRAME_ALLOWANCE = 16 * 1024;

const HEX_32 = /^[0-9a-f]{64}$/;
const HEX_64 = /^[0-9a-f]{128}$/;
const MAX_KIND = 65_535;

/** Is this an id or a public key as NIP-01 writes them: 32 bytes, lower-case hex? */
export function isHex32(value: unknown): value is string {
  return typeof value === 'string' && HEX_32.test(value);
}

/**
 * Reads what routing needs of an event that JSON.parse gave (NIP-01).
 * @param maxContent bytes
 * @returns the head and tags, or what is wrong with it, as text for NIP-01's `invalid:`
 */
export function readHead(event: unknown, maxContent: number): { head: EventHead; tags: string[][] } | string {
  if (typeof event !== 'object' || event === null || Array.isArray(event)) return 'the event is not an object';
  const { id, pubkey, kind, created_at, tags, content, sig } = event as Record<string, unknown>;
  if (!isHex32(id)) return 'id is not 64 lower-case hex digits';
  if (!isHex32(pubkey)) return 'pubkey is not 64 lower-case hex digits';
  if (typeof kind !== 'number' || !Number.isInteger(kind) || kind < 0 || kind > MAX_KIND) {
    return `kind is not an integer from 0 to ${MAX_KIND}`;
  }
  if (typeof created_at !== 'number' || !Number.isSafeInteger(created_at) || created_at < 0) {
    return 'created_at is not a time in seconds';
  }
  if (!isTags(tags)) return 'tags is not an array of arrays of strings';
  if (typeof content !== 'string') return 'content is not a string';
  if (isLonger(content, maxContent)) return `content is longer than ${maxContent} bytes`;
  if (typeof sig !== 'string' || !HEX_64.test(sig)) return 'sig is not 128 lower-case hex digits';
  const p = tags.find((tag) => tag[0] === 'p')?.[1] ?? '';
  return { head: { id, pubkey, kind, created_at, p }, tags };
}

function isTags(value: unknown): value is string[][] {
  if (!Array.isArray(value)) return false;
  for (const tag of value) {
    if (!Array.isArray(tag)) return false;
    for (const item of tag) if (typeof item !== 'string') return false;
  }
  return true;
}

function isLonger(text: string, maxBytes: number): boolean {
  // A character takes one to three bytes: most texts need no counting.
  if (text.length > maxBytes) return true;
  return text.length * 3 > maxBytes && Buffer.byteLength(text) > maxBytes;
}
