import { parseArgs } from 'node:util';

/**
 * A benchmark's options from its command line. `--quick` takes the small sizes, to see that the program works: its
 * figures say nothing.
 *
 * @param full what is measured when nothing is given
 * @param quick in place of some of these, with `--quick`
 */
export function benchOptions<T extends { [name: string]: string }>(full: T, quick: Partial<T> = {}): T {
  const names = Object.keys(full);
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      ...Object.fromEntries(names.map((name) => [name, { type: 'string' as const }])),
    },
  });
  const base = { ...full, ...(values.quick ? quick : {}) };
  const given = Object.entries(values).filter(([name, value]) => name !== 'quick' && value !== undefined);
  return { ...base, ...Object.fromEntries(given) };
}

/** `1,10,100` */
export function numbers(list: string): number[] {
  return words(list).map(Number);
}

/** `native,wasm` */
export function words(list: string): string[] {
  return list.split(',').filter(Boolean);
}
