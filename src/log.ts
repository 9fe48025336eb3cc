import { createRequire } from 'node:module';
import { isatty } from 'node:tty';
import { type DestinationStream, pino } from 'pino';
import { printable, redact } from './log/redact.ts';
import type { LogLine } from './policy/protocol.ts';

export interface LogOptions {
  level: LogLine['level'];
  /** `auto`: pretty on a terminal. */
  format: 'auto' | 'json' | 'pretty';
  /** Levels of single modules, in place of `level`. */
  levels?: readonly { module: string; level: LogLine['level'] }[];
  /** File descriptor; standard error by default, for standard output is for data. */
  to?: number;
}

/**
 * Writes one line of the log. Only the main thread has it: workers send it their lines.
 * `cause` is an exception, printed with its stack.
 */
export interface Log {
  (line: LogLine, cause?: unknown): void;
  /** Whether a line of this level would be written: asked where making it costs something. */
  enabled(level: LogLine['level'], module: string): boolean;
}

const ORDER = { debug: 0, info: 1, warn: 2, error: 3 } as const;

const STANDARD_ERROR = 2;

/**
 * JSON lines, or pretty ones for people. Each is written at once and by this thread, so that none is lost at a crash;
 * whatever looks like a secret is blotted out on its way.
 */
export function makeLog({ level, levels = [], format, to = STANDARD_ERROR }: LogOptions): Log {
  const own = new Map(levels.map(({ module, level }) => [module, level]));
  const enabled: Log['enabled'] = (wanted, module) => ORDER[wanted] >= ORDER[own.get(module) ?? level];
  const terminal = isatty(to);
  const pretty = format === 'pretty' || (format === 'auto' && terminal);
  const logger = pino(
    {
      // What is too little to be written is held back before it gets here.
      level: 'debug',
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: describe },
      hooks: { streamWrite: redact.line },
    },
    pretty ? prettyLines(to, terminal) : pino.destination({ dest: to, sync: true }),
  );
  const write = (line: LogLine, cause?: unknown): void => {
    const { module } = line;
    if (!enabled(line.level, module ?? 'main')) return;
    const named = redact.fields(line.fields);
    const fields = module === undefined ? named : { module, ...named };
    logger[line.level](cause === undefined ? fields : { ...fields, err: cause }, printable(line.message));
  };
  return Object.assign(write, { enabled });
}

/** In this process, for a transport would be one thread more; loaded only by who looks at it. */
function prettyLines(to: number, colorize: boolean): DestinationStream {
  const pretty = createRequire(import.meta.url)('pino-pretty') as typeof import('pino-pretty');
  return pretty({ destination: to, colorize, sync: true, singleLine: true, translateTime: 'SYS:HH:MM:ss.l' });
}

/** An exception without the values that libraries hang on it. */
function describe(error: unknown): object {
  if (!(error instanceof Error)) return { message: `a thrown ${typeof error}` };
  const { name, message, stack, code, cause } = error as NodeJS.ErrnoException;
  return { type: name, message, code, stack, cause: cause === undefined ? undefined : describe(cause) };
}
