import { type EventLoopUtilization, performance } from 'node:perf_hooks';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { isMainThread } from 'node:worker_threads';

/** Between two looks at what the thread has done, ms. */
const LOOK_MS = 4_000;
/** Of the time between two looks: a thread that works less is at rest. */
const AT_REST = 0.01;
/** Collecting again takes so many times as much work as collecting takes time. */
const SHARE = 20;
/** For V8's collector; without it nothing is collected at rest. */
const TRIES = 10;

/** Of a thread, ms. */
type Utilization = Pick<EventLoopUtilization, 'idle' | 'active'>;

/**
 * Collects garbage in a thread that has come to rest. By itself V8 collects all of a heap only when it has grown: a
 * thread that rests keeps what it took to get there, and V8 keeps the pages of threads that have ended.
 *
 * The first collection is thorough: what the start and the warm-up left is most of what there is. That takes V8's
 * knowledge of the code along, and the next hundred requests are slower for it by a tenth. Later ones are not, and come
 * after twenty times as much work as they take.
 */
export class Rest {
  readonly #collect: (isFirst: boolean) => void;
  readonly #utilization: () => Utilization;
  readonly #now: () => number;
  #last: Utilization;
  #worked = 0;
  #took = 0;
  #isFirst = true;

  /** @param utilization from the thread's start on @param now monotonic ms */
  constructor(collect: (isFirst: boolean) => void, utilization: () => Utilization, now: () => number) {
    this.#collect = collect;
    this.#utilization = utilization;
    this.#now = now;
    this.#last = utilization();
  }

  /** To be called at intervals. */
  look(): void {
    const { idle, active } = this.#utilization();
    const worked = active - this.#last.active;
    const passed = worked + idle - this.#last.idle;
    this.#last = { idle, active };
    this.#worked += worked;
    if (worked > AT_REST * passed || this.#worked < SHARE * this.#took) return;
    const before = this.#now();
    this.#collect(this.#isFirst);
    this.#isFirst = false;
    this.#took = this.#now() - before;
    this.#worked = 0;
  }
}

/**
 * For the thread that calls it, until that ends.
 * @param afterwards what else a rest is good for, done after each collection
 */
export function collectAtRest({ afterwards = () => {}, everyMs = LOOK_MS } = {}): void {
  let gc: NodeJS.GCFunction | undefined;
  const rest = new Rest(
    (isFirst) => {
      gc ??= collector();
      // A thorough one also gives back the pages of threads that have ended. The main thread sees to those each time:
      // its part in a request is small.
      const flavor = isFirst || isMainThread ? 'last-resort' : 'regular';
      void gc?.({ type: 'major', execution: 'sync', flavor });
      afterwards();
    },
    () => performance.eventLoopUtilization(),
    () => performance.now(),
  );
  setInterval(() => rest.look(), everyMs).unref();
}

/**
 * A context that begins while V8 exposes its collector has it. Exposed all the time, every thread would begin with it,
 * and a key's first request took a tenth longer. The flag is the process's: another thread may take it back in the
 * middle, and then it is tried again.
 */
function collector(): NodeJS.GCFunction | undefined {
  let gc: NodeJS.GCFunction | undefined;
  for (let tries = 0; gc === undefined && tries < TRIES; tries++) {
    setFlagsFromString('--expose-gc');
    gc = runInNewContext('globalThis.gc');
    setFlagsFromString('--no-expose-gc');
  }
  return gc;
}
