/** Random choices that a seed repeats (mulberry32). */
export interface Seeded {
  /** In [0, 1). */
  (): number;
  between(low: number, high: number): number;
  pick<T>(from: readonly T[]): T;
  chance(of: number): boolean;
  /** Draws without putting back until all were drawn, then anew; in their order the first time, for short runs. */
  deck<T>(cards: readonly T[]): () => T;
}

export function seeded(seed: number): Seeded {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const pick = <T>(from: readonly T[]) => from[Math.floor(next() * from.length)]!;
  return Object.assign(next, {
    pick,
    between: (low: number, high: number) => low + next() * (high - low),
    chance: (of: number) => next() < of,
    deck: <T>(cards: readonly T[]) => {
      const left = [...cards];
      let first = true;
      return () => {
        if (left.length === 0) {
          left.push(...cards);
          first = false;
        }
        return left.splice(first ? 0 : Math.floor(next() * left.length), 1)[0]!;
      };
    },
  });
}
