/** Exit codes of the command line (docs/CLI.md). */
export const EXIT = { done: 0, failed: 1, usage: 2, configuration: 78 } as const;

/** Ends a command: one line for standard error, and the exit code. */
export class Refusal extends Error {
  readonly exitCode: number;
  constructor(message: string, exitCode: number = EXIT.failed) {
    super(message);
    this.name = 'Refusal';
    this.exitCode = exitCode;
  }
}
