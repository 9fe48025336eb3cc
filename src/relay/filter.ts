import { isHex32, type WireEvent } from './head.ts';

/** A client's filter (NIP-01), read and checked, ready for matching live events. Null: not asked for. */
export interface LiveFilter {
  ids: Set<string> | null;
  authors: Set<string> | null;
  kinds: Set<number> | null;
  p: Set<string> | null;
  /** Other single-letter tags. */
  tags: [letter: string, values: Set<string>][];
  since: number | null;
  until: number | null;
  /** How many values it holds in all. */
  values: number;
  /** Memory that it takes with its places in the index: an estimate from above. */
  bytes: number;
}

/** The values of an event's tags, by the tags' names. */
export type TagValues = ReadonlyMap<string, Set<string>>;

const FILTER_BYTES = 1024;
const MEMBER_BYTES = 320;
const VALUE_BYTES = 256;

const TAG_KEY = /^#[a-zA-Z]$/;

/**
 * @param maxTagValue characters
 * @returns the filter, or what is wrong with it. Members that NIP-01 does not know are left out of account.
 */
export function readFilter(value: unknown, maxTagValue: number): LiveFilter | string {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'a filter is not an object';
  const filter: LiveFilter = {
    ids: null,
    authors: null,
    kinds: null,
    p: null,
    tags: [],
    since: null,
    until: null,
    values: 0,
    bytes: FILTER_BYTES,
  };
  for (const [key, content] of Object.entries(value)) {
    const wrong = readMember(filter, key, content, maxTagValue);
    if (wrong !== null) return wrong;
  }
  return filter;
}

function readMember(filter: LiveFilter, key: string, content: unknown, maxTagValue: number): string | null {
  switch (key) {
    case 'ids':
    case 'authors':
    case '#p': {
      if (!isArrayOf(content, isHex32)) return `${key} in a filter is not an array of 64 lower-case hex digits each`;
      filter[key === '#p' ? 'p' : key] = new Set(content);
      charge(filter, content.length, content.length * 64);
      return null;
    }
    case 'kinds':
      if (!isArrayOf(content, isWhole)) return 'kinds in a filter is not an array of integers';
      filter.kinds = new Set(content);
      charge(filter, content.length, 0);
      return null;
    case 'since':
    case 'until':
      if (!isWhole(content)) return `${key} in a filter is not a time in seconds`;
      filter[key] = content;
      return null;
    case 'limit':
      // Nothing is stored, so that any limit is kept.
      return isWhole(content) ? null : 'limit in a filter is not an integer';
    default:
      if (!TAG_KEY.test(key)) return null;
      if (!isArrayOf(content, isString)) return `${key} in a filter is not an array of strings`;
      if (content.some(({ length }) => length > maxTagValue)) {
        return `${key} in a filter has a value of more than ${maxTagValue} characters`;
      }
      filter.tags.push([key[1]!, new Set(content)]);
      // Two bytes a character, where one of them is not Latin.
      charge(filter, content.length, 2 * content.reduce((sum, { length }) => sum + length, 0));
      return null;
  }
}

function charge(filter: LiveFilter, values: number, textBytes: number): void {
  filter.values += values;
  filter.bytes += MEMBER_BYTES + values * VALUE_BYTES + textBytes;
}

/** Does it name no id, author or tag, so that nearly every event matches? */
export function isOpen({ ids, authors, p, tags }: LiveFilter): boolean {
  return ids === null && authors === null && p === null && tags.length === 0;
}

/**
 * Does a live event match?
 * @param skew seconds that the client's clock may be ahead of the sender's: `since: now` must not lose the answer
 * @param values null where the tags are so few that they are looked through
 */
export function matches(
  filter: LiveFilter,
  { head, tags }: Pick<WireEvent, 'head' | 'tags'>,
  skew: number,
  values: TagValues | null,
): boolean {
  if (filter.kinds !== null && !filter.kinds.has(head.kind)) return false;
  if (filter.authors !== null && !filter.authors.has(head.pubkey)) return false;
  if (filter.ids !== null && !filter.ids.has(head.id)) return false;
  if (filter.since !== null && head.created_at < filter.since - skew) return false;
  if (filter.until !== null && head.created_at > filter.until) return false;
  if (filter.p !== null && !hasTag(tags, values, 'p', filter.p)) return false;
  return filter.tags.every(([letter, wanted]) => hasTag(tags, values, letter, wanted));
}

function hasTag(tags: WireEvent['tags'], values: TagValues | null, letter: string, wanted: Set<string>): boolean {
  if (values === null) return tags.some((tag) => tag[0] === letter && wanted.has(tag[1]!));
  const there = values.get(letter);
  if (there === undefined) return false;
  const [few, many] = there.size < wanted.size ? [there, wanted] : [wanted, there];
  for (const value of few) if (many.has(value)) return true;
  return false;
}

function isArrayOf<T>(value: unknown, isItem: (item: unknown) => item is T): value is T[] {
  return Array.isArray(value) && value.every(isItem);
}

function isWhole(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function isString(value: unknown): value is string {
  return typeof value === 'string';
}
