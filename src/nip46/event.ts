/** Events as NIP-01 writes, hashes and checks them. */
import { hash } from 'node:crypto';

export interface NostrEvent {
  /** 64 lower-case hex digits */
  id: string;
  /** 64 lower-case hex digits */
  pubkey: string;
  /** s */
  created_at: number;
  kind: number;
  tags: string[][];
  content: string;
  /** 128 lower-case hex digits */
  sig: string;
}

/** An event that lacks a signature. `json`: its two long members as they were hashed, to be written again as they are. */
export type UnsignedEvent = Readonly<Omit<NostrEvent, 'sig'> & { json: { tags: string; content: string } }>;

const ID = /^[0-9a-f]{64}$/;
const SIGNATURE = /^[0-9a-f]{128}$/;
const MAX_KIND = 65_535;

/**
 * The id: SHA-256 of the UTF-8 of `[0,pubkey,created_at,kind,tags,content]`, in hex.
 *
 * NIP-01 has seven characters escaped with a letter or themselves and all others as they are; that is
 * `JSON.stringify`, but for the control characters that have no letter. Verbatim they would be no JSON: clients and
 * relays hash them as `\u00xx`, as `JSON.stringify` does, and so must we for the signature to hold with them.
 */
export function eventId(pubkey: string, createdAt: number, kind: number, tags: string[][], content: string): string {
  return idOf(pubkey, createdAt, kind, JSON.stringify(tags), JSON.stringify(content));
}

function idOf(pubkey: string, createdAt: number, kind: number, tags: string, content: string): string {
  return hash('sha256', `[0,"${pubkey}",${createdAt},${kind},${tags},${content}]`, 'hex');
}

/** An event from its JSON text, or null when it is not exactly one. Neither its id nor its signature is verified. */
export function parseEvent(raw: string): NostrEvent | null {
  const event = parseObject(raw);
  if (event === null) return null;
  const { id, pubkey, created_at, kind, tags, content, sig } = event;
  if (typeof id !== 'string' || !ID.test(id)) return null;
  if (typeof pubkey !== 'string' || !ID.test(pubkey)) return null;
  if (typeof sig !== 'string' || !SIGNATURE.test(sig)) return null;
  if (!isKind(kind) || !isTimestamp(created_at)) return null;
  if (typeof content !== 'string' || !content.isWellFormed()) return null;
  if (!areTags(tags) || !areWellFormed(tags)) return null;
  return { id, pubkey, created_at, kind, tags, content, sig };
}

/** The signed event's JSON. */
export function signedEventJson(event: NostrEvent & { json?: UnsignedEvent['json'] }): string {
  const tags = event.json?.tags ?? JSON.stringify(event.tags);
  const content = event.json?.content ?? JSON.stringify(event.content);
  return `{"id":"${event.id}","pubkey":"${event.pubkey}","created_at":${event.created_at},"kind":${event.kind},"tags":${tags},"content":${content},"sig":"${event.sig}"}`;
}

/** `dated`: the template itself said when. */
export type TemplateChecked = { ok: true; event: UnsignedEvent; dated: boolean } | { ok: false; error: string };

/**
 * `sign_event`'s parameter, made into the event that is to be signed (docs/PROTOCOL.md).
 *
 * @param json what the client sent
 * @param signer pubkey: whose signature it will be; now: s; maxFuture: how far ahead `created_at` may lie, s
 * @returns `error`: the client's error, `invalid event: ` and what is wrong
 */
export function checkTemplate(
  json: string,
  signer: { pubkey: string; now: number; maxFuture: number },
): TemplateChecked {
  const template = parseObject(json);
  if (template === null) return invalid('not a JSON object');
  // `id` and `sig` are the client's guess, and not looked at.
  const { kind, content, tags, created_at = signer.now, pubkey = signer.pubkey } = template;
  if (!isKind(kind)) return invalid(`kind must be an integer from 0 to ${MAX_KIND}`);
  if (typeof content !== 'string') return invalid('content must be a string');
  if (!areTags(tags)) return invalid('tags must be an array of arrays of strings');
  if (!isTimestamp(created_at)) return invalid('created_at must be an integer, in seconds, not below 0');
  if (created_at > signer.now + signer.maxFuture) {
    return invalid(`created_at is more than ${signer.maxFuture} s in the future`);
  }
  if (pubkey !== signer.pubkey) return invalid('pubkey is not the one that this key signs for');
  // A lone surrogate has no UTF-8: the id would be that of another content than the one in the JSON.
  if (!content.isWellFormed()) return invalid('content has half of a surrogate pair');
  if (!areWellFormed(tags)) return invalid('tags have half of a surrogate pair');

  const written = { tags: JSON.stringify(tags), content: JSON.stringify(content) };
  const id = idOf(pubkey, created_at, kind, written.tags, written.content);
  const event = { id, pubkey, created_at, kind, tags, content, json: written };
  return { ok: true, event, dated: template.created_at !== undefined };
}

function invalid(what: string): TemplateChecked {
  return { ok: false, error: `invalid event: ${what}` };
}

function parseObject(json: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null;
  } catch {
    return null;
  }
}

function isKind(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= MAX_KIND;
}

function isTimestamp(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function areTags(value: unknown): value is string[][] {
  return (
    Array.isArray(value) &&
    value.every((tag) => Array.isArray(tag) && tag.every((part: unknown) => typeof part === 'string'))
  );
}

function areWellFormed(tags: string[][]): boolean {
  return tags.every((tag) => tag.every((part) => part.isWellFormed()));
}
