import { SingleBar } from 'cli-progress';
import { say } from './output.ts';

/** Long work as it goes on: a bar on a terminal, a line for each tenth elsewhere; on standard error. */
export class Progress {
  readonly #what: string;
  readonly #isTerminal: boolean;
  #bar: SingleBar | undefined;
  #tenth = 0;

  constructor(what: string, stream: { isTTY?: boolean } = process.stderr) {
    this.#what = what;
    this.#isTerminal = stream.isTTY === true;
  }

  update(done: number, of: number): void {
    if (this.#isTerminal) return this.#draw(done, of);
    const tenth = of === 0 ? 10 : Math.floor((10 * done) / of);
    if (tenth <= this.#tenth) return;
    this.#tenth = tenth;
    say(`${this.#what}: ${done} of ${of}`);
  }

  stop(): void {
    this.#bar?.stop();
    this.#bar = undefined;
  }

  #draw(done: number, of: number): void {
    if (this.#bar === undefined) {
      this.#bar = new SingleBar({ format: `${this.#what} {bar} {percentage} % | {value} of {total} | {eta} s left` });
      this.#bar.start(of, done);
    }
    this.#bar.setTotal(of);
    this.#bar.update(done);
  }
}
