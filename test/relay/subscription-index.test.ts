import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type LiveFilter, matches, readFilter } from '../../src/relay/filter.ts';
import { SubscriptionIndex } from '../../src/relay/subscription-index.ts';

const hex = (i: number) => i.toString(16).padStart(64, '0');

function filterOf(value: object): LiveFilter {
  const filter = readFilter(value, 1024);
  if (typeof filter === 'string') throw new Error(filter);
  return filter;
}

function eventOf(tags: readonly (readonly string[])[], id = hex(1), pubkey = hex(2)) {
  return { head: { id, pubkey, kind: 24133, created_at: 1000, p: '' }, tags };
}

/** Counts how often it is asked. */
class Asked<T> extends Set<T> {
  times = 0;
  override has(value: T): boolean {
    this.times++;
    return super.has(value);
  }
}

test('finds what trying every filter finds, and nothing once it is removed', () => {
  const some = <T>(...values: T[]) => fc.option(fc.subarray(values), { nil: undefined });
  const filter = fc
    .record({
      ids: some(hex(0), hex(1)),
      authors: some(hex(1), hex(2)),
      kinds: some(24133, 24134),
      '#p': some(hex(3), hex(4)),
      '#e': some('x', 'y', ''),
      '#E': some('x'),
      since: fc.constantFrom(undefined, 900, 1100),
    })
    .map((value) => JSON.parse(JSON.stringify(value)) as object);
  const tag = fc.constantFrom(['p', hex(3)], ['p', hex(4)], ['e', 'x'], ['e', 'z'], ['e', ''], ['E', 'x'], ['p'], []);
  const subscriptions = fc.array(fc.array(filter, { minLength: 1, maxLength: 3 }), { maxLength: 12 });
  fc.assert(
    fc.property(subscriptions, fc.array(tag, { maxLength: 12 }), fc.nat(1), (lists, tags, id) => {
      const index = new SubscriptionIndex<LiveFilter[]>(0);
      const all = lists.map((list) => list.map(filterOf));
      for (const filters of all) index.add(filters, filters);
      const event = eventOf(tags, hex(id));
      const wanted = () => all.filter((filters) => filters.some((one) => matches(one, event, 0, null)));
      assert.equal(new Set(wanted()), index.match(event));
      for (const filters of all.splice(0, all.length >> 1)) index.remove(filters);
      assert.equal(new Set(wanted()), index.match(event));
    }),
    { numRuns: 500 },
  );
});

test('filters on other values of a tag, on other authors and other ids are not tried', () => {
  const index = new SubscriptionIndex<object>(0);
  const kinds = new Asked([24133]);
  for (let i = 0; i < 100; i++) {
    for (const named of [{ '#e': [`other ${i}`] }, { authors: [hex(100 + i)] }, { ids: [hex(100 + i)] }])
      index.add({}, [{ ...filterOf(named), kinds }]);
  }
  const event = eventOf(Array.from({ length: 500 }, (_, i) => ['e', `value ${i}`]));
  assert.is(index.match(event).size, 0);
  assert.is(kinds.times, 0);
  index.add({}, [{ ...filterOf({ '#e': ['value 7'] }), kinds }]);
  assert.is(index.match(event).size, 1);
  assert.is(kinds.times, 1);
});

test('of an event with many tags no filter looks through all of them', () => {
  const index = new SubscriptionIndex<object>(0);
  const wanted = new Asked(['nope']);
  for (let i = 0; i < 100; i++) index.add({}, [{ ...filterOf({ '#p': [hex(3)] }), tags: [['e', wanted]] }]);
  const event = eventOf([...Array.from({ length: 499 }, (_, i) => ['e', `value ${i}`]), ['p', hex(3)]]);
  assert.is(index.match(event).size, 0);
  assert.ok(wanted.times <= 100);
});

test.run();
