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

/** @param maxContent bytes */
export function readRelayFrame(data: Buffer | string, maxContent: number): RelayFrame {
  const parsed = parse(data, maxContent);
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
  const parsed = parse(data, maxContent);
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

function parse(data: Buffer | string, maxContent: number): Parsed | RefusedFrame {
  const limit = frameLimit(maxContent);
  const size = typeof data === 'string' ? Buffer.byteLength(data) : data.length;
  if (size > limit) return refused('too large', `the message is larger than ${limit} bytes`);
  const text = data.toString();
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
