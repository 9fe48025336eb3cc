import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import { next } from '../load/next.ts';
import type { Sample } from './work.ts';

/** The floor of one backend, in a process of its own, warm. */
export class Floor {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  /** @param warm requests before the first sample @param seconds that one sample takes */
  static async start(backend: string, warm: number, seconds: number): Promise<Floor> {
    const child = fork(join(import.meta.dirname, 'main.ts'), [backend, String(warm), String(seconds)]);
    await next(child);
    return new Floor(child);
  }

  async sample(): Promise<Sample> {
    this.#child.send('sample');
    return (await next(this.#child)) as Sample;
  }

  close(): void {
    this.#child.disconnect();
  }
}
