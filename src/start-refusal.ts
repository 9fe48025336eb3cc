/** Thrown while starting: one line for the operator, and the exit code. */
export class StartRefusal extends Error {
  readonly exitCode: number;
  constructor(message: string, exitCode: number) {
    super(message);
    this.exitCode = exitCode;
  }
}
