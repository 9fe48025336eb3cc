/** When what was disturbed. A request that is not answered, or is refused for a fault, needs one of these as its excuse. */
export type Where = 'daemon' | 'outside' | object;

interface Disturbance {
  where: Where;
  from: number;
  /** Infinity while it lasts. */
  to: number;
}

/** Longer than any request is waited for. */
const KEPT_MS = 60_000;

export class Disturbances {
  #list: Disturbance[] = [];

  /** Until what is returned is called. */
  begin(where: Where): () => void {
    const now = performance.now();
    const one = { where, from: now, to: Number.POSITIVE_INFINITY };
    this.#list = this.#list.filter(({ to }) => to > now - KEPT_MS);
    this.#list.push(one);
    return () => {
      one.to = performance.now();
    };
  }

  /** Disturbs for as long as `work` takes. */
  async during<T>(where: Where, work: () => Promise<T>): Promise<T> {
    const end = this.begin(where);
    try {
      return await work();
    } finally {
      end();
    }
  }

  /** Whether one of these places was disturbed at any time since then. */
  since(from: number, places: readonly Where[]): boolean {
    return this.#list.some(({ where, to }) => places.includes(where) && to >= from);
  }
}
