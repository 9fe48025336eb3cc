import { SingleBar } from 'cli-progress';
import { say } from './output.ts';

/** Between two plain lines, ms. */
const LINE_MS = 5_000;

export interface Progress {
  update(done: number): void;
  /** Says how it ended, and how long it took. */
  end(text: string): void;
}

/** Progress of long work, on standard error: a bar on a terminal, a line now and then elsewhere. */
export function progress(what: string, total: number, terminal = process.stderr.isTTY === true): Progress {
  const started = performance.now();
  const bar = terminal ? new SingleBar({ format: `${what} {bar} {value}/{total}`, stream: process.stderr }) : null;
  bar?.start(total, 0);
  let said = started;
  return {
    update(done) {
      bar?.update(done);
      if (bar !== null || performance.now() - said < LINE_MS) return;
      said = performance.now();
      say(`${what}: ${done} of ${total}`);
    },
    end(text) {
      bar?.stop();
      say(`${text} in ${((performance.now() - started) / 1000).toFixed(1)} s`);
    },
  };
}
