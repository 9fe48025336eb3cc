import type { LogLine, Refusal } from './protocol.ts';
import type { RuleName } from './rules.ts';

export interface Denial {
  keyName: string;
  client: string;
  method: string;
  rule: RuleName;
  refusal: Refusal;
}

/** Different denials told apart in a minute; what comes beyond them is counted together. */
const MOST_KINDS = 500;

/**
 * Denials for the log: the first of each kind, for each client and minute, in full; the rest as a number. They are in
 * no audit row, so that nobody can fill the disk by being refused.
 */
export class Denials {
  readonly #log: (line: LogLine) => void;
  readonly #seen = new Map<string, { denial: Denial; more: number }>();
  #others = 0;

  constructor(log: (line: LogLine) => void) {
    this.#log = log;
  }

  note(denial: Denial): void {
    const kind = `${denial.keyName}\n${denial.client}\n${denial.method}\n${denial.rule}`;
    const seen = this.#seen.get(kind);
    if (seen !== undefined) seen.more++;
    else if (this.#seen.size >= MOST_KINDS) this.#others++;
    else {
      this.#seen.set(kind, { denial, more: 0 });
      this.#log({ level: denial.rule === 'no-binding' ? 'debug' : 'info', message: 'denied', fields: { ...denial } });
    }
  }

  /** A minute is over. */
  turn(): void {
    for (const { denial, more } of this.#seen.values()) {
      if (more > 0) this.#log({ level: 'info', message: 'denied again', fields: { ...denial, times: more } });
    }
    if (this.#others > 0) {
      this.#log({ level: 'warn', message: 'denied others', fields: { times: this.#others } });
    }
    this.#seen.clear();
    this.#others = 0;
  }
}
