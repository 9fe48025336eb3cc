import { Piscina } from 'piscina';
import type { CurveChoice, CurveName } from '../curve/curve.ts';

/** What a thread is asked: the curve that is in force here, or whether an event is genuine. */
export type VerifyTask = { choose: CurveChoice } | { raw: string; curve: CurveChoice };
export type Chosen = { ok: true; curve: CurveName; passedOver: string[] } | { ok: false; refusal: string };

const MAX_WAITING = 256;
const IDLE_MS = 5_000;

/** One stateless thread that verifies events of strangers, apart from every thread that holds a secret. */
export class VerifyPool {
  readonly #pool: Piscina;
  #curve: CurveChoice;

  /**
   * @param filename path of the worker entry
   * @param curve the backend to use; the fastest that loads when left out
   */
  constructor(filename: string, curve: CurveChoice = 'auto') {
    this.#curve = curve;
    this.#pool = new Piscina({
      filename,
      minThreads: 0,
      maxThreads: 1,
      idleTimeout: IDLE_MS,
      maxQueue: MAX_WAITING,
      atomics: 'disabled',
      env: {},
    });
    // A thread that dies between two tasks is replaced when the next one comes.
    this.#pool.on('error', () => {});
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
   * Whether an event (its JSON) has the id and signature that it should have; `busy` when too many wait, or when the
   * thread died.
   */
  async verify(raw: string): Promise<boolean | 'busy'> {
    try {
      return (await this.#pool.run({ raw, curve: this.#curve } satisfies VerifyTask)) as boolean;
    } catch {
      return 'busy';
    }
  }

  close(): Promise<void> {
    return this.#pool.destroy();
  }
}
