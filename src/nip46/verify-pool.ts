import { Piscina } from 'piscina';
import type { CurveName } from '../curve/curve.ts';

const MAX_WAITING = 256;
const IDLE_MS = 30_000;

/** One stateless thread that verifies events of strangers, apart from every thread that holds a secret. */
export class VerifyPool {
  readonly #pool: Piscina;

  /**
   * @param filename path of the worker entry
   * @param curve the backend to use; the fastest that loads when left out
   */
  constructor(filename: string, curve?: CurveName) {
    this.#pool = new Piscina({
      filename,
      minThreads: 0,
      maxThreads: 1,
      idleTimeout: IDLE_MS,
      maxQueue: MAX_WAITING,
      atomics: 'disabled',
      env: {},
      workerData: { curve },
    });
    // A thread that dies between two tasks is replaced when the next one comes.
    this.#pool.on('error', () => {});
  }

  /**
   * Whether an event (its JSON) has the id and signature that it should have; `busy` when too many wait, or when the
   * thread died.
   */
  async verify(raw: string): Promise<boolean | 'busy'> {
    try {
      return (await this.#pool.run(raw)) as boolean;
    } catch {
      return 'busy';
    }
  }

  close(): Promise<void> {
    return this.#pool.destroy();
  }
}
