import { type Stage, type StageReport, StageTimes } from './stage-times.ts';

/** How long a thread keeps what it counted before it tells the main thread, ms. */
const REPORT_MS = 1_000;

/** The times of a worker: told in one message a second while there is work, and in none while there is not. */
export class StageReporter {
  readonly #times = new StageTimes();
  readonly #tell: (report: StageReport) => void;
  #timer: NodeJS.Timeout | undefined;

  constructor(tell: (report: StageReport) => void) {
    this.#tell = tell;
  }

  observe(stage: Stage, ms: number): void {
    this.#times.observe(stage, ms);
    this.#timer ??= setTimeout(() => this.flush(), REPORT_MS).unref();
  }

  /** Tells now, for a thread that is about to end. */
  flush(): void {
    if (this.#timer === undefined) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#tell(this.#times.read());
    this.#times.clear();
  }
}
