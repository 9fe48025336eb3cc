import type { Piscina } from 'piscina';
import type { CurveChoice, CurveName } from '../curve/curve.ts';
import { makePool } from '../host/pool.ts';

/** What a thread is asked: the curve that is in force here, or whether an event is genuine. */
export type VerifyTask = { choose: CurveChoice } | { raw: string; curve: CurveChoice };
export type Chosen = { ok: true; curve: CurveName; passedOver: string[] } | { ok: false; refusal: string };

const MAX_WAITING = 256;
/** What Piscina says when too many wait. */
const FULL = 'Task queue is at limit';

/** One stateless thread that verifies events of strangers, apart from every thread that holds a secret. */
export class VerifyPool {
  readonly #filename: string;
  #pool: Piscina;
  #curve: CurveChoice;
  #closed = false;

  /**
   * @param filename path of the worker entry
   * @param curve the backend to use; the fastest that loads when left out
   */
  constructor(filename: string, curve: CurveChoice = 'auto') {
    this.#filename = filename;
    this.#curve = curve;
    this.#pool = this.#startPool();
  }

  /**
   * Tries which backend a thread can load here, once for all of them, and stays with it.
   * @returns in `passedOver` a line for each that was tried in vain
   */
  async choose(wanted: CurveChoice): Promise<Chosen> {
    const chosen = (await this.#pool.run({ choose: wanted } satisfies VerifyTask)) as Chosen;
    if (chosen.ok) this.#curve = chosen.curve;
    return chosen;
  }

  /**
   * Whether an event (its JSON) has the id and signature that it should have; `busy` when too many wait, and when the
   * thread failed.
   */
  async verify(raw: string): Promise<boolean | 'busy'> {
    const pool = this.#pool;
    try {
      return (await pool.run({ raw, curve: this.#curve } satisfies VerifyTask)) as boolean;
    } catch (error) {
      if ((error as Error).message !== FULL) this.#replace(pool);
      return 'busy';
    }
  }

  close(): Promise<void> {
    this.#closed = true;
    return this.#pool.destroy();
  }

  /**
   * A backend that has thrown may be broken for good, so its thread is not asked again. And when a thread has died,
   * Piscina starts another only for a task that is let in behind those that wait: if they are as many as may, never.
   */
  #replace(failed: Piscina): void {
    if (this.#closed || failed !== this.#pool) return;
    this.#pool = this.#startPool();
    void failed.destroy();
  }

  #startPool(): Piscina {
    return makePool({ filename: this.#filename, maxThreads: 1, maxQueue: MAX_WAITING });
  }
}
