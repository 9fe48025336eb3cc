export interface RestartPolicy {
  /** More restarts than this within `withinMs` mean a crash loop. */
  max: number;
  withinMs: number;
  /** First delay and longest delay; each restart in the window doubles it. */
  minDelayMs: number;
  maxDelayMs: number;
}

export const DEFAULT_RESTARTS: RestartPolicy = { max: 5, withinMs: 30_000, minDelayMs: 50, maxDelayMs: 5_000 };

/** Restart intensity of one child: supervision as data, one budget for each child, never one for all. */
export class Restarts {
  readonly #policy: RestartPolicy;
  #times: number[] = [];

  constructor(policy: RestartPolicy = DEFAULT_RESTARTS) {
    this.#policy = policy;
  }

  /** Notes a crash at `now` (monotonic ms): how long to wait before the restart, ms, or null for quarantine. */
  next(now: number): number | null {
    this.#times = this.#times.filter((time) => now - time < this.#policy.withinMs);
    if (this.#times.length >= this.#policy.max) return null;
    const delay = this.#policy.minDelayMs * 2 ** this.#times.length;
    this.#times.push(now);
    return Math.min(delay, this.#policy.maxDelayMs);
  }

  reset(): void {
    this.#times = [];
  }
}
