import { ActorError } from '../actor/protocol.ts';
import type { KeyThread } from './thread.ts';

/** What a key's thread is to do that is nobody's request: it waits for a thread, and keeps it while it is in work. */
export class Errands {
  #starts: ((thread: KeyThread | null) => void)[] = [];
  #inWork = 0;

  get areWaiting(): boolean {
    return this.#starts.length > 0;
  }

  /** Whether any waits or is in work. */
  get areOpen(): boolean {
    return this.#inWork > 0;
  }

  /** @param thread null: it waits for `start` @returns null when no thread does it */
  async run<T>(thread: KeyThread | null, work: (link: KeyThread['link']) => Promise<T>): Promise<T | null> {
    this.#inWork++;
    try {
      const own = thread ?? (await new Promise<KeyThread | null>((resolve) => this.#starts.push(resolve)));
      return own === null ? null : await work(own.link);
    } catch (error) {
      if (error instanceof ActorError) return null;
      throw error;
    } finally {
      this.#inWork--;
    }
  }

  /** Those that wait: on this thread, or (null) not at all. */
  start(thread: KeyThread | null): void {
    for (const start of this.#starts.splice(0)) start(thread);
  }
}
