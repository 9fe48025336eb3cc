import { FRAME_ALLOWANCE, readHead, type WireEvent } from './head.ts';

/** A frame that is not passed on. `too large` was not even parsed. `id`: of the event that is meant, where it is known. */
export interface RefusedFrame {
  type: 'refused';
  refusal: 'too large' | 'not JSON' | 'not a message' | 'unknown message' | 'invalid event';
  /** One line, for the sender. */
  reason: string;
  id: string | null;
}

/** What a relay says to a client (NIP-01, and NIP-42's AUTH). */
export type RelayFrame =
  | { type: 'EVENT'; subscription: string; event: WireEvent }
  | { type: 'OK'; id: string; ok: boolean; reason: string }
  | { type: 'EOSE'; subscription: string }
  | { type: 'CLOSED'; subscription: string; reason: string }
  | { type: 'NOTICE'; text: string }
  | { type: 'AUTH'; challenge: string }
  | RefusedFrame;

/** What a client says to a relay (NIP-01). */
export type ClientFrame =
  | { type: 'EVENT'; event: WireEvent }
  | { type: 'REQ'; subscription: string; filters: unknown[] }
  | { type: 'CLOSE'; subscription: string }
  | RefusedFrame;

/** Longest frame that is parsed, bytes, for a limit on content. */
export function frameLimit(maxContent: number): number {
  return maxContent + FRAME_ALLOWANCE;
}

/** Longest REQ or CLOSE that is parsed, bytes: a filter with 1,900 authors. */
export const REQUEST_LIMIT = 128 * 1024;
/** A frame holds an event, or the filters of a REQ. Objects of ever new forms are what JSON.parse takes longest for. */
export const MAX_OBJECTS = 32;

/** Does a frame begin as one with an event? All others are short. */
function beginsAsEvent(data: Buffer | string): boolean {
  // As nearly all are written, without a string of its own.
  if (typeof data !== 'string' && data[2] === LETTER_E && data[1] === QUOTE && data[0] === BRACKET) return true;
  return /^\s*\[\s*"E/.test(data.toString('latin1', 0, 32));
}

/** @param maxContent bytes */
export function readRelayFrame(data: Buffer | string, maxContent: number): RelayFrame {
  const parsed = parse(data, frameLimit(maxContent));
  if ('refusal' in parsed) return parsed;
  const { text, message } = parsed;
  const [type, first, second, third] = message;
  switch (type) {
    case 'EVENT':
      if (message.length !== 3 || typeof first !== 'string') return notAMessage('EVENT');
      return readEvent(text, 2, second, maxContent, (event) => ({ type, subscription: first, event }));
    case 'OK':
      if (typeof first !== 'string' || typeof second !== 'boolean') return notAMessage('OK');
      return { type, id: first, ok: second, reason: typeof third === 'string' ? third : '' };
    case 'EOSE':
      return typeof first === 'string' ? { type, subscription: first } : notAMessage('EOSE');
    case 'CLOSED':
      if (typeof first !== 'string') return notAMessage('CLOSED');
      return { type, subscription: first, reason: typeof second === 'string' ? second : '' };
    case 'NOTICE':
      return typeof first === 'string' ? { type, text: first } : notAMessage('NOTICE');
    case 'AUTH':
      return typeof first === 'string' ? { type, challenge: first } : notAMessage('AUTH');
    default:
      return unknownMessage();
  }
}

/** @param maxContent bytes */
export function readClientFrame(data: Buffer | string, maxContent: number): ClientFrame {
  const limit = frameLimit(maxContent);
  const parsed = parse(data, beginsAsEvent(data) ? limit : Math.min(limit, REQUEST_LIMIT));
  if ('refusal' in parsed) return parsed;
  const { text, message } = parsed;
  const [type, first] = message;
  switch (type) {
    case 'EVENT':
      if (message.length !== 2) return notAMessage('EVENT');
      return readEvent(text, 1, first, maxContent, (event) => ({ type, event }));
    case 'REQ':
      return isSubscriptionId(first) ? { type, subscription: first, filters: message.slice(2) } : badSubscriptionId();
    case 'CLOSE':
      return isSubscriptionId(first) ? { type, subscription: first } : badSubscriptionId();
    default:
      return unknownMessage();
  }
}

interface Parsed {
  text: string;
  message: unknown[];
}

/** @param limit bytes */
function parse(data: Buffer | string, limit: number): Parsed | RefusedFrame {
  const size = typeof data === 'string' ? Buffer.byteLength(data) : data.length;
  if (size > limit) return refused('too large', `the message is larger than ${limit} bytes`);
  const text = data.toString();
  if (hasManyObjects(text)) return refused('too large', `the message holds more than ${MAX_OBJECTS} objects`);
  let message: unknown;
  try {
    message = JSON.parse(text);
  } catch {
    return refused('not JSON', 'the message is not JSON');
  }
  if (!Array.isArray(message) || typeof message[0] !== 'string') {
    return refused('not a message', 'the message is not a JSON array that begins with a word');
  }
  return { text, message };
}

function hasManyObjects(text: string): boolean {
  let at = -1;
  for (let found = 0; found <= MAX_OBJECTS; found++) {
    at = text.indexOf('{', at + 1);
    if (at === -1) return false;
  }
  // So many braces are rare: whether they lie in a text, as in a note about code, is looked at only now.
  let objects = 0;
  let inString = false;
  for (let i = 0; i < text.length && objects <= MAX_OBJECTS; i++) {
    const code = text.charCodeAt(i);
    if (code === QUOTE) inString = !inString;
    else if (inString && code === BACKSLASH) i++;
    else if (!inString && code === BRACE) objects++;
  }
  return objects > MAX_OBJECTS;
}

function readEvent<F>(
  text: string,
  index: number,
  value: unknown,
  maxContent: number,
  frame: (event: WireEvent) => F,
): F | RefusedFrame {
  const read = readHead(value, maxContent);
  if (typeof read !== 'string') return frame({ ...read, raw: lastElement(text, index) });
  const id = (value as { id?: unknown } | null)?.id;
  return refused('invalid event', read, typeof id === 'string' && id.length === 64 ? id : null);
}

/**
 * The text of the last element of a JSON array, an object, before which stand `index` strings. It is the very text
 * that JSON.parse read as that element, because the whole has passed JSON.parse and the array's length and types were
 * checked: only white space and commas stand between the strings, and only white space and `]` after the object.
 */
function lastElement(text: string, index: number): string {
  let at = 0;
  for (let i = 0; i < index; i++) {
    at = text.indexOf('"', at) + 1;
    while (text.charCodeAt(at) !== QUOTE) at += text.charCodeAt(at) === BACKSLASH ? 2 : 1;
    at++;
  }
  return text.slice(text.indexOf('{', at), text.lastIndexOf('}') + 1);
}

const QUOTE = 0x22;
const BRACKET = 0x5b;
const LETTER_E = 0x45;
const BRACE = 0x7b;
const BACKSLASH = 0x5c;

/** NIP-01: a string of 1 to 64 characters. */
function isSubscriptionId(value: unknown): value is string {
  return typeof value === 'string' && value.length > 0 && value.length <= 64;
}

function refused(refusal: RefusedFrame['refusal'], reason: string, id: string | null = null): RefusedFrame {
  return { type: 'refused', refusal, reason, id };
}

function notAMessage(type: string): RefusedFrame {
  return refused('not a message', `the ${type} message has not the form that NIP-01 gives it`);
}

function badSubscriptionId(): RefusedFrame {
  return refused('not a message', 'a subscription id is a string of 1 to 64 characters');
}

function unknownMessage(): RefusedFrame {
  return refused('unknown message', 'the message is of an unknown type');
}
