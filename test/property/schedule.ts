import type { Clock } from '../../src/actor/clock.ts';

interface Waiting {
  /** Monotonic ms. */
  at: number;
  order: number;
  run: () => void;
  every: number | null;
}
/** What a fake timer is known by. */
class Handle {
  unref(): this {
    return this;
  }
  ref(): this {
    return this;
  }
}

const NAMES = ['setTimeout', 'setInterval', 'setImmediate', 'clearTimeout', 'clearInterval', 'clearImmediate'] as const;
const real = Object.fromEntries(NAMES.map((name) => [name, globalThis[name]])) as unknown as Pick<
  typeof globalThis,
  (typeof NAMES)[number]
>;

/**
 * Stands in for the event loop's timers: nothing fires by itself, and of what is due anything may be next. Which it is
 * say the picks (whole numbers); when they run out, whatever has waited longest.
 */
export class Schedule {
  readonly #waiting = new Map<Handle, Waiting>();
  readonly #picks: readonly number[];
  #mono = 1000;
  #order = 0;
  #picked = 0;

  readonly clock: Clock = { now: () => 1_790_000_000_000 + this.#mono, mono: () => this.#mono };

  constructor(picks: readonly number[]) {
    this.#picks = picks;
  }

  /** Takes the place of the real ones. @returns puts these back */
  install(): () => void {
    const later = (every: boolean) => (run: () => void, ms: number) =>
      this.#add(run, this.#mono + ms, every ? ms : null);
    const clear = (handle: unknown) => {
      if (handle instanceof Handle) this.#waiting.delete(handle);
      else real.clearTimeout(handle as NodeJS.Timeout);
    };
    const fakes = {
      setTimeout: later(false),
      setInterval: later(true),
      setImmediate: (run: () => void) => this.#add(run, this.#mono, null),
      clearTimeout: clear,
      clearInterval: clear,
      clearImmediate: clear,
    };
    Object.assign(globalThis, fakes);
    return () => void Object.assign(globalThis, real);
  }

  pass(ms: number): void {
    this.#mono += ms;
  }

  /** A number from 0 to `below` - 1. */
  pick(below: number): number {
    return (this.#picks[this.#picked++] ?? 0) % below;
  }

  /** How many callbacks may run now. */
  get due(): number {
    return this.#due().length;
  }

  /** Runs one that is due, and whatever follows from it without a timer. */
  async runDue(which: number): Promise<void> {
    const [handle, { run, every }] = this.#due()[which]!;
    if (every === null) this.#waiting.delete(handle);
    else this.#waiting.get(handle)!.at += every;
    run();
    await this.settle();
  }

  /** Time passes until the next timer. @returns false when there is none */
  async runNext(): Promise<boolean> {
    if (this.#waiting.size === 0) return false;
    this.#mono = Math.max(this.#mono, Math.min(...[...this.#waiting.values()].map(({ at }) => at)));
    await this.runDue(0);
    return true;
  }

  /** One turn of the real event loop: promises run to their end. */
  async settle(): Promise<void> {
    await new Promise<void>((resolve) => void real.setImmediate(resolve));
  }

  /** For what the machine does meanwhile, such as closing a file. */
  async wait(done: () => boolean): Promise<void> {
    for (let turn = 0; turn < 200 && !done(); turn++) {
      await new Promise<void>((resolve) => void real.setTimeout(resolve, 1));
    }
  }

  #due(): [Handle, Waiting][] {
    const due = [...this.#waiting].filter(([, { at }]) => at <= this.#mono);
    return due.sort(([, a], [, b]) => a.at - b.at || a.order - b.order);
  }

  #add(run: () => void, at: number, every: number | null): Handle {
    const handle = new Handle();
    this.#waiting.set(handle, { at, order: this.#order++, run, every });
    return handle;
  }
}
