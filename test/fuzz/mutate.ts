import fc from 'fast-check';
import { Members, type Place, placesOf, type Tree, treeOf, writeTree } from './json-tree.ts';

/** One change: which place, what is done there, and with what. Three numbers, which fast-check can make smaller. */
type Change = [place: number, what: number, how: number];

/** Leaves that are of the wrong type somewhere, out of range somewhere, or hard to read: all of them as JSON text. */
const ODD = [
  'null',
  'true',
  'false',
  '0',
  '-1',
  '-0',
  '1.5',
  '1e0',
  '65535',
  '65536',
  '24133',
  '4294967296',
  '9007199254740991',
  '9007199254740992',
  '1e300',
  '1e400',
  '123456789012345678901234567890',
  '""',
  '"0"',
  '" "',
  '"all"',
  '"\\u0000"',
  '"\\ud800"',
  '"\\udc00\\ud800"',
  '"\\ufeff"',
  '"\\u202e"',
  '"__proto__"',
  '"toString"',
  '[]',
  '{}',
  '[[]]',
  '[null]',
  '[[null]]',
  '[[""]]',
  '{"__proto__":{"kind":1}}',
  '{"toString":1,"valueOf":1,"length":1}',
  '{"length":3,"0":"a"}',
  '"["',
  '"{}"',
  '"\\"}]"',
];

/** Text that is put into strings: at an end, or in the middle. */
const INSERTIONS = [
  '\u0000',
  '\ufeff',
  '\ud800',
  '\udc00',
  '\u2028',
  '\u202e',
  '\u200d',
  'e\u0301',
  '\ud83d\udddd\ufe0f',
  '\uff10',
  '\u0130',
  '\n',
  ' ',
  '"',
  '\\',
  '%',
  '%00',
  '%ff',
  '&',
  '?iv=',
  '=',
  '0',
  'A',
];

const KEYS = ['"__proto__"', '"constructor"', '"toString"', '""', '"id"', '"method"', '"params"', '"\\ud800"'];
const DEPTHS = [1, 2, 63, 64, 65, 500, 5_000];
const LENGTHS = [64, 256, 257, 1_024, 4_097, 16_385];

const CHANGES: ((place: Place, how: number) => void)[] = [
  (place, how) => place.replace(pick(ODD, how)),
  (place) => place.remove(),
  (place, how) => place.double(pick(ODD, how)),
  (place) => place.double(structuredCopy(place.value)),
  (place, how) => (place.rename === null ? place.replace([place.value]) : place.rename(pick(KEYS, how))),
  (place, how) => place.rename?.(spelled(how)),
  (place, how) => place.replace(nested(place.value, pick(DEPTHS, how), how % 2 === 0)),
  (place) => place.replace(JSON.stringify(writeTree(place.value))),
  (place, how) => place.replace(changedLeaf(place.value, how)),
  (place, how) => place.replace(changedLeaf(place.value, how * 7 + 3)),
];

const change: fc.Arbitrary<Change> = fc.tuple(fc.nat(9_999), fc.nat(CHANGES.length - 1), fc.nat(9_999));
const textChange: fc.Arbitrary<Change> = fc.tuple(fc.nat(99_999), fc.nat(9), fc.nat(9_999));
const structural = fc.array(change, { maxLength: 3 });
const textual = fc.oneof(
  { weight: 5, arbitrary: fc.constant([] as Change[]) },
  { weight: 1, arbitrary: fc.array(textChange, { minLength: 1, maxLength: 2 }) },
);

/** JSON text: one of the values, changed in up to three places, and now and then damaged as text. */
export function mutatedJson(values: readonly unknown[]): fc.Arbitrary<string> {
  return fc
    .tuple(fc.nat(values.length - 1), structural, textual)
    .map(([which, changes, damage]) => damaged(changed(treeOf(values[which]), changes), damage));
}

/** One of the texts, damaged up to twice. */
export function mutatedText(texts: readonly string[]): fc.Arbitrary<string> {
  return fc
    .tuple(fc.nat(texts.length - 1), fc.array(textChange, { maxLength: 2 }))
    .map(([which, damage]) => damaged(texts[which]!, damage));
}

/** Bytes: one of the given, with bits flipped, cut, grown, repeated. */
export function mutatedBytes(all: readonly Uint8Array[]): fc.Arbitrary<Buffer> {
  return fc
    .tuple(fc.nat(all.length - 1), fc.array(textChange, { maxLength: 3 }))
    .map(([which, damage]) => damage.reduce(damagedBytes, Buffer.from(all[which]!)));
}

/** Bytes and text that come from nowhere. */
export const rawText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 64 }),
  fc.string({ unit: fc.constantFrom(...'[]{}",:\\u0123456789.-+eEtrufalsn \ufeff\ud800'), maxLength: 48 }),
);

function changed(tree: Tree, changes: readonly Change[]): string {
  const root = { value: tree };
  for (const [at, what, how] of changes) CHANGES[what]!(pick(placesOf(root), at), how);
  return writeTree(root.value);
}

function damaged(text: string, damage: readonly Change[]): string {
  return damage.reduce((text, [at, what, how]) => {
    const i = at % (text.length + 1);
    switch (what) {
      case 0:
        return text.slice(0, i);
      case 1:
        return text.slice(i);
      case 2:
        return text.slice(0, i) + pick(INSERTIONS, how) + text.slice(i);
      case 3:
        return text.slice(0, i) + String.fromCharCode(text.charCodeAt(i) ^ (1 << (how % 16))) + text.slice(i + 1);
      case 4:
        return `${text}${text}`;
      case 5:
        return `\ufeff${text}`;
      case 6:
        return text.slice(0, i) + text.slice(i + 1 + (how % 8));
      case 7:
        return text.slice(0, i) + text.slice(i).toUpperCase();
      case 8:
        return `${text}${pick(INSERTIONS, how)}`;
      default:
        return `${' '.repeat(how % 300)}${text}\n\n`;
    }
  }, text);
}

function damagedBytes(bytes: Buffer, [at, what, how]: Change): Buffer {
  const i = at % (bytes.length + 1);
  switch (what) {
    case 0:
      return bytes.subarray(0, i);
    case 1:
      return bytes.subarray(i);
    case 2:
      return Buffer.concat([bytes.subarray(0, i), Buffer.from([how & 255]), bytes.subarray(i)]);
    case 3:
      return Buffer.concat([bytes, bytes.subarray(0, i)]);
    case 4:
      return Buffer.concat([bytes.subarray(0, i), bytes.subarray(i + 1)]);
    default: {
      const copy = Buffer.from(bytes);
      if (i < copy.length) copy[i]! ^= what < 8 ? 1 << (how % 8) : how & 255;
      return copy;
    }
  }
}

/** A leaf like the one that is there, off by a little. */
function changedLeaf(tree: Tree, how: number): Tree {
  if (typeof tree !== 'string') return pick(ODD, how);
  if (tree[0] !== '"')
    return Number.isNaN(Number(tree)) ? pick(ODD, how) : String(Number(tree) + pick([-1, 1, 0.5, 900, 901], how));
  let text: string;
  try {
    text = JSON.parse(tree) as string;
  } catch {
    return tree;
  }
  const i = how % (text.length + 1);
  switch (how % 9) {
    case 0:
      return JSON.stringify(text.slice(1));
    case 1:
      return JSON.stringify(text.slice(0, -1));
    case 2:
      return JSON.stringify(text + (text.at(-1) ?? 'x'));
    case 3:
      return JSON.stringify(text.toUpperCase());
    case 4:
      return JSON.stringify(text.slice(0, i) + pick(INSERTIONS, how >> 3) + text.slice(i));
    case 5:
      return JSON.stringify(text.slice(0, i) + String.fromCharCode(text.charCodeAt(i) ^ 1) + text.slice(i + 1));
    case 6:
      return JSON.stringify((text || 'x').repeat(Math.ceil(pick(LENGTHS, how >> 3) / (text.length || 1))));
    case 7:
      return `"${[...text].map((c) => (c < '\u0080' ? `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}` : c)).join('')}"`;
    default:
      // Not escaped, so that it may end the string.
      return `"${text}${pick(INSERTIONS, how >> 3)}"`;
  }
}

function nested(tree: Tree, depth: number, inArray: boolean): string {
  const [open, close] = inArray ? ['[', ']'] : ['{"a":', '}'];
  return open.repeat(depth) + writeTree(tree) + close.repeat(depth);
}

/** A key of the protocols, written with an escape: it is the same key. */
function spelled(how: number): string {
  const key = pick(['id', 'kind', 'tags', 'content', 'sig', 'pubkey', 'method', 'params', 'key', 'passphrase'], how);
  return `"\\u${key.charCodeAt(0).toString(16).padStart(4, '0')}${key.slice(1)}"`;
}

function structuredCopy(tree: Tree): Tree {
  if (typeof tree === 'string') return tree;
  if (Array.isArray(tree)) return tree.map(structuredCopy);
  return new Members(tree.entries.map(([key, value]) => [key, structuredCopy(value)]));
}

function pick<T>(list: readonly T[], at: number): T {
  return list[at % list.length]!;
}
