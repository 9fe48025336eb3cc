/**
 * Where the time of a request goes. `policy`: what a key's thread waits for a decision; `commit`: one transaction of
 * the policy actor, which may carry many decisions; `sign`: what was asked for, a signature or a cipher; `seal`:
 * encrypting and signing the response; `publish`: until a relay took it; `total`: from arrival to response.
 */
export const STAGES = ['verify', 'decrypt', 'policy', 'commit', 'sign', 'seal', 'publish', 'total'] as const;
export type Stage = (typeof STAGES)[number];

/** Upper bounds of the buckets, ms. */
export const BOUNDS_MS = [
  0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000,
] as const;

/** What one thread has counted since it last told. `counts`: by bucket, the last one beyond all bounds. `sum`: ms. */
export type StageReport = { stage: Stage; counts: number[]; sum: number }[];

const WIDTH = BOUNDS_MS.length + 1;
const AT = Object.fromEntries(STAGES.map((stage, i) => [stage, i])) as Record<Stage, number>;

/** Times by stage, in fixed buckets: to count one is two additions, and nothing is allocated. */
export class StageTimes {
  readonly #counts = new Float64Array(STAGES.length * WIDTH);
  readonly #sums = new Float64Array(STAGES.length);

  observe(stage: Stage, ms: number): void {
    let bucket = 0;
    while (bucket < BOUNDS_MS.length && ms > BOUNDS_MS[bucket]!) bucket++;
    this.#counts[AT[stage] * WIDTH + bucket]!++;
    this.#sums[AT[stage]]! += ms;
  }

  add(report: StageReport): void {
    for (const { stage, counts, sum } of report) {
      for (let bucket = 0; bucket < WIDTH; bucket++) {
        this.#counts[AT[stage] * WIDTH + bucket]! += counts[bucket] ?? 0;
      }
      this.#sums[AT[stage]]! += sum;
    }
  }

  /** Stages that anything was counted for. */
  read(): StageReport {
    return STAGES.map((stage, i) => ({
      stage,
      counts: [...this.#counts.subarray(i * WIDTH, (i + 1) * WIDTH)],
      sum: this.#sums[i]!,
    })).filter(({ counts }) => counts.some((count) => count > 0));
  }

  clear(): void {
    this.#counts.fill(0);
    this.#sums.fill(0);
  }
}
