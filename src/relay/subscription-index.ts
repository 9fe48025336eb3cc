import { type LiveFilter, matches } from './filter.ts';
import type { WireEvent } from './head.ts';

interface Entry<S> {
  subscriber: S;
  filter: LiveFilter;
}

/**
 * Who wants an event. Filters with `#p`, as nearly all are, are found by the event's `p` tags; the others are tried one
 * by one.
 */
export class SubscriptionIndex<S extends object> {
  readonly #skew: number;
  readonly #byP = new Map<string, Set<Entry<S>>>();
  readonly #others = new Set<Entry<S>>();
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
      if (entry.filter.p === null) this.#others.add(entry);
      else for (const p of entry.filter.p) this.#place(p).add(entry);
    }
  }

  remove(subscriber: S): void {
    for (const entry of this.#entries.get(subscriber) ?? []) {
      this.#otherTags -= entry.filter.tags.length;
      this.#others.delete(entry);
      for (const p of entry.filter.p ?? []) {
        const place = this.#byP.get(p);
        place?.delete(entry);
        if (place?.size === 0) this.#byP.delete(p);
      }
    }
    this.#entries.delete(subscriber);
  }

  /** Each subscriber once, however many of its filters match. */
  match(event: Pick<WireEvent, 'head' | 'tags'>): Set<S> {
    const found = new Set<S>();
    const seen = new Set<string>();
    for (const [name, p] of event.tags) {
      if (name !== 'p' || p === undefined || seen.has(p)) continue;
      seen.add(p);
      this.#matchAmong(this.#byP.get(p), event, found);
    }
    this.#matchAmong(this.#others, event, found);
    return found;
  }

  #matchAmong(entries: Set<Entry<S>> | undefined, event: Pick<WireEvent, 'head' | 'tags'>, found: Set<S>): void {
    for (const { subscriber, filter } of entries ?? []) {
      if (!found.has(subscriber) && matches(filter, event, this.#skew)) found.add(subscriber);
    }
  }

  #place(p: string): Set<Entry<S>> {
    const place = this.#byP.get(p) ?? new Set();
    this.#byP.set(p, place);
    return place;
  }
}
