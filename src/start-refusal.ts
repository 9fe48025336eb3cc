/** Exit code for a configuration that must be mended (sysexits.h, EX_CONFIG). */
export const EX_CONFIG = 78;

/** Thrown while starting: one line for the operator, and the exit code. */
export class StartRefusal extends Error {
  readonly exitCode: number;
  constructor(message: string, exitCode: number) {
    super(message);
    this.exitCode = exitCode;
  }
}
