import type { Clock } from '../actor/clock.ts';
import type { Asked } from './protocol.ts';

/** What an admin allowed once, where no rule answers. */
export interface Pass {
  readonly keyName: string;
  readonly client: string;
  readonly method: string;
  /** Of the event to be signed; null for other methods. */
  readonly kind: number | null;
  /** Who allowed it, hex. */
  readonly admin: string;
}

/** Longer than any request lives, and than a client tries again, ms. */
const GOOD_FOR_MS = 600_000;
const MOST = 10_000;

/** Passes that admins have given: in memory only, each good for one request and for that request's retries. */
export class Passes {
  readonly #clock: Clock;
  readonly #given = new Map<string, { pass: Pass; until: number }>();
  /** By the body of the request that used it. */
  readonly #used = new Map<string, { pass: Pass; until: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  give(id: string, pass: Pass): void {
    this.#hold(this.#given, id, pass);
  }

  /** The admin whose pass covers this request; null when there is none. It stays good until `use`. */
  admin({ pass: id, body }: Presented, wanted: Omit<Pass, 'admin'>): string | null {
    const held = this.#used.get(body) ?? (id === undefined ? undefined : this.#given.get(id));
    if (held === undefined || held.until <= this.#clock.mono()) return null;
    const { pass } = held;
    const covers =
      pass.keyName === wanted.keyName &&
      pass.client === wanted.client &&
      pass.method === wanted.method &&
      pass.kind === wanted.kind;
    return covers ? pass.admin : null;
  }

  /**
   * At once: two requests of one batch must not have the same pass. @returns gives it back, for a batch that is taken
   * back and perhaps tried again
   */
  use({ pass: id, body }: Presented): () => void {
    const held = id === undefined ? undefined : this.#given.get(id);
    if (held === undefined) return () => {};
    this.#given.delete(id!);
    this.#hold(this.#used, body, held.pass);
    return () => {
      this.#used.delete(body);
      this.#given.set(id!, held);
    };
  }

  #hold(passes: Map<string, { pass: Pass; until: number }>, name: string, pass: Pass): void {
    const now = this.#clock.mono();
    for (const [oldest, { until }] of passes) {
      if (until > now && passes.size < MOST) break;
      passes.delete(oldest);
    }
    passes.set(name, { pass, until: now + GOOD_FOR_MS });
  }
}

/** What a request shows: a pass, or that it is the retry of one that had a pass. */
type Presented = Pick<Asked, 'pass' | 'body'>;
