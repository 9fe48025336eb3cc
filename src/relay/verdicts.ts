import { TransientMap } from '../actor/transient-map.ts';

/** How it ended; `late`: nobody said. */
export type Verdict = (ok: boolean | 'late', reason: string) => void;

interface Open {
  expires: number;
}

/** Events that wait for the daemon's word on whether they are genuine: bounded in number and in time. */
export class Verdicts {
  readonly #max: number;
  readonly #forMs: number;
  /** In the order in which they expire. */
  readonly #open = new TransientMap<Open, Verdict>();

  constructor(max: number, forMs: number) {
    this.#max = max;
    this.#forMs = forMs;
  }

  /** @param now monotonic ms @returns what to call, once, with the verdict; null when too many wait */
  open(now: number, judge: Verdict): ((ok: boolean, reason?: string) => void) | null {
    if (this.#open.size >= this.#max) return null;
    const open: Open = { expires: now + this.#forMs };
    this.#open.set(open, judge);
    return (ok, reason = '') => {
      if (this.#open.delete(open)) judge(ok, reason);
    };
  }

  expire(now: number): void {
    for (const [open, judge] of this.#open) {
      if (open.expires > now) return;
      this.#open.delete(open);
      judge('late', '');
    }
  }
}
