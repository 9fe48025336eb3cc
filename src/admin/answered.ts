import { LRUCache } from 'lru-cache';
import type { Clock } from '../actor/clock.ts';
import type { Answer } from './answer.ts';

const TEN_MINUTES_MS = 600_000;
/** Characters, over all answers that are kept. */
const LARGEST = 8_000_000;
const ROW = 500;

/** Answers given in the last ten minutes, by request fingerprint: who asks the same again gets the same again. */
export class Answered {
  readonly #answers: LRUCache<string, { answer: Promise<Answer | null> }>;

  /** @param most that are kept; beyond it the one that was asked for longest ago is forgotten */
  constructor(clock: Clock, most: number) {
    this.#answers = new LRUCache({
      max: most,
      maxSize: LARGEST,
      ttl: TEN_MINUTES_MS,
      perf: { now: () => clock.mono() },
      ttlResolution: 0,
    });
  }

  /** The answer of the same request, which may still be in work. */
  get(fingerprint: string): Promise<Answer | null> | undefined {
    return this.#answers.get(fingerprint)?.answer;
  }

  /** Remembers an answer that is being made, unless it turns out to be one that a retry should not get. */
  async keep(fingerprint: string, answer: Promise<Answer | null>): Promise<Answer | null> {
    this.#answers.set(fingerprint, { answer }, { size: ROW });
    try {
      const made = await answer;
      if (made === null || isPassing(made)) this.#answers.delete(fingerprint);
      else this.#answers.set(fingerprint, { answer }, { size: sizeOf(made) });
      return made;
    } catch (error) {
      this.#answers.delete(fingerprint);
      throw error;
    }
  }
}

/** A list that was cut short was read for one encryption, and is told anew for another. */
function isPassing(answer: Answer): boolean {
  return answer.ok ? 'rows' in answer && answer.more === true : answer.passing === true;
}

function sizeOf(answer: Answer): number {
  if (!answer.ok) return ROW;
  return 'rows' in answer ? ROW * (answer.rows.length + 1) : answer.result.length + ROW;
}
