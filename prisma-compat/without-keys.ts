import { newSecret, type Secret } from '../src/actor/protocol.ts';
import { endOfString } from '../src/admin/json-string.ts';

/** Bytes from `start` up to `end`. */
interface Span {
  start: number;
  end: number;
}

interface Member extends Span {
  name: string;
  value: Span;
}

/**
 * nsecbunker.json without these members of its `keys`, for the caller to wipe; every other byte is what it was, the
 * spaces between what stays too. Null when the document is no JSON object.
 */
export function withoutKeys(document: Uint8Array, names: ReadonlySet<string>): Secret | null {
  const top = membersOf(document, 0);
  if (top === null) return null;
  const cuts: Span[] = [];
  for (const { name, value } of top) {
    if (name !== 'keys') continue;
    const keys = membersOf(document, value.start);
    if (keys === null) return null;
    cuts.push(...cutsFor(keys, names));
  }
  const rest = newSecret(document.length - cuts.reduce((sum, { start, end }) => sum + end - start, 0));
  let from = 0;
  let written = 0;
  for (const { start, end } of [...cuts, { start: document.length, end: document.length }]) {
    rest.set(document.subarray(from, start), written);
    written += start - from;
    from = end;
  }
  return rest;
}

/** A member goes with what parts it from the next one; one that nothing follows, with what parts it from the one before. */
function cutsFor(members: readonly Member[], names: ReadonlySet<string>): Span[] {
  const cuts: Span[] = [];
  const lastKept = members.findLastIndex(({ name }) => !names.has(name));
  members.forEach(({ name, start }, i) => {
    if (i < lastKept && names.has(name)) cuts.push({ start, end: members[i + 1]!.start });
  });
  const [first, last] = [members[0], members.at(-1)];
  if (first === undefined || last === undefined || lastKept === members.length - 1) return cuts;
  const start = lastKept === -1 ? first.start : members[lastKept]!.end;
  return [...cuts, { start, end: last.end }];
}

/** The members of the object that begins there, or null when none does. */
function membersOf(document: Uint8Array, from: number): Member[] | null {
  let at = skipSpace(document, from);
  if (document[at] !== 0x7b) return null;
  const members: Member[] = [];
  at = skipSpace(document, at + 1);
  while (document[at] === 0x22) {
    const start = at;
    const nameEnd = endOfString(document, at);
    if (nameEnd === null) return null;
    const name = JSON.parse(new TextDecoder().decode(document.subarray(start, nameEnd))) as string;
    at = skipSpace(document, nameEnd);
    if (document[at] !== 0x3a) return null;
    const value = skipSpace(document, at + 1);
    const end = endOfValue(document, value);
    if (end === null) return null;
    members.push({ name, start, end, value: { start: value, end } });
    at = skipSpace(document, end);
    if (document[at] !== 0x2c) break;
    at = skipSpace(document, at + 1);
  }
  return document[at] === 0x7d ? members : null;
}

function endOfValue(document: Uint8Array, from: number): number | null {
  let depth = 0;
  for (let at = from; at < document.length; at++) {
    const byte = document[at]!;
    if (byte === 0x22) {
      const end = endOfString(document, at);
      if (end === null) return null;
      at = end - 1;
    } else if (byte === 0x7b || byte === 0x5b) depth++;
    else if (byte === 0x7d || byte === 0x5d) {
      // What closes the object around a number or a literal is no part of it.
      if (depth === 0) return at;
      depth--;
    } else if (depth === 0 && (byte === 0x2c || isSpace(byte))) return at;
    if (depth === 0 && (byte === 0x22 || byte === 0x7d || byte === 0x5d)) return at + 1;
  }
  return null;
}

function skipSpace(document: Uint8Array, from: number): number {
  let at = from;
  while (isSpace(document[at])) at++;
  return at;
}

function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d;
}
