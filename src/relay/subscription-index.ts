import { type LiveFilter, matches, type TagValues } from './filter.ts';
import type { WireEvent } from './head.ts';

interface Entry<S> {
  subscriber: S;
  filter: LiveFilter;
}

type Places<S> = Map<string, Set<Entry<S>>>;

/** Tags of an event that are gone through for each filter; of more, the values are brought in order once. */
const FEW_TAGS = 8;

/**
 * Who wants an event. A filter is found by one thing that it names: by an id, by the value of a tag, `#p` before others,
 * or by an author. Those that name none are tried one by one.
 */
export class SubscriptionIndex<S extends object> {
  readonly #skew: number;
  readonly #byId: Places<S> = new Map();
  readonly #byAuthor: Places<S> = new Map();
  readonly #byTag = new Map<string, Places<S>>();
  readonly #open = new Set<Entry<S>>();
  readonly #entries = new Map<S, Entry<S>[]>();
  #otherTags = 0;

  /** @param skew seconds, as in `matches` */
  constructor(skew: number) {
    this.#skew = skew;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Does any filter look at a tag other than `p`? */
  get asksForOtherTags(): boolean {
    return this.#otherTags > 0;
  }

  add(subscriber: S, filters: readonly LiveFilter[]): void {
    this.remove(subscriber);
    const entries = filters.map((filter) => ({ subscriber, filter }));
    this.#entries.set(subscriber, entries);
    for (const entry of entries) {
      this.#otherTags += entry.filter.tags.length;
      const found = this.#foundBy(entry.filter);
      if (found === null) this.#open.add(entry);
      else for (const value of found.values) placeOf(found.places, value).add(entry);
    }
  }

  remove(subscriber: S): void {
    for (const entry of this.#entries.get(subscriber) ?? []) {
      this.#otherTags -= entry.filter.tags.length;
      this.#open.delete(entry);
      const found = this.#foundBy(entry.filter);
      for (const value of found?.values ?? []) {
        const place = found?.places.get(value);
        place?.delete(entry);
        if (place?.size === 0) found?.places.delete(value);
      }
    }
    this.#entries.delete(subscriber);
  }

  /** Each subscriber once, however many of its filters match. */
  match(event: Pick<WireEvent, 'head' | 'tags'>): Set<S> {
    const found = new Set<S>();
    const { head, tags } = event;
    const values = tags.length > FEW_TAGS ? valuesOf(tags) : null;
    if (values === null) {
      for (const [name, value] of tags) this.#search(this.#byTag.get(name!)?.get(value!), event, values, found);
    } else {
      for (const [name, all] of values) {
        const places = this.#byTag.get(name);
        if (places !== undefined) for (const value of all) this.#search(places.get(value), event, values, found);
      }
    }
    this.#search(this.#byId.get(head.id), event, values, found);
    this.#search(this.#byAuthor.get(head.pubkey), event, values, found);
    this.#search(this.#open, event, values, found);
    return found;
  }

  #search(
    entries: Set<Entry<S>> | undefined,
    event: Pick<WireEvent, 'head' | 'tags'>,
    values: TagValues | null,
    found: Set<S>,
  ): void {
    if (entries === undefined) return;
    for (const { subscriber, filter } of entries) {
      if (!found.has(subscriber) && matches(filter, event, this.#skew, values)) found.add(subscriber);
    }
  }

  /** Where a filter lies: null where it names nothing to find it by. */
  #foundBy({ ids, p, tags: [tag], authors }: LiveFilter): { places: Places<S>; values: Set<string> } | null {
    if (ids !== null) return { places: this.#byId, values: ids };
    if (p !== null) return { places: this.#placesOf('p'), values: p };
    if (tag !== undefined) return { places: this.#placesOf(tag[0]), values: tag[1] };
    if (authors !== null) return { places: this.#byAuthor, values: authors };
    return null;
  }

  #placesOf(letter: string): Places<S> {
    let places = this.#byTag.get(letter);
    if (places === undefined) {
      places = new Map();
      this.#byTag.set(letter, places);
    }
    return places;
  }
}

function placeOf<S>(places: Places<S>, value: string): Set<Entry<S>> {
  const place = places.get(value) ?? new Set();
  places.set(value, place);
  return place;
}

function valuesOf(tags: WireEvent['tags']): TagValues {
  const values = new Map<string, Set<string>>();
  for (const [name, value] of tags) {
    if (name === undefined || value === undefined) continue;
    const all = values.get(name);
    if (all === undefined) values.set(name, new Set([value]));
    else all.add(value);
  }
  return values;
}
