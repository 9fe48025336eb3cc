import type * as z from 'zod/mini';
import { safeParse } from 'zod/mini';
import type { Secret } from '../../actor/protocol.ts';
import type { Answer } from '../answer.ts';
import type { Desk } from '../desk.ts';
import type { AdminRequest, SecretParam } from '../params.ts';

/**
 * Secrets as bytes, by the names of their parameters; one in a parameter that is JSON by its path, `options.passphrase`.
 * They are overwritten after the method has ended.
 */
export type Secrets = { readonly [name: string]: Secret | undefined };

/** Who asked, and when. */
export interface Call {
  /** hex */
  admin: string;
  /** Of the request event, s. */
  createdAt: number;
  /** `Locks.mark` at its arrival: whatever was locked since is not unlocked by this call. */
  mark: number;
  /** ms since the epoch, when the event was taken in. */
  arrivedAt: number;
  /** What is left to do touches the keys alone: who waits for policies and clients goes on. */
  leave(): void;
  /** Bytes that the answer may have. */
  longest: number;
  secrets: Secrets;
}

/** A call whose parameters have been read. */
export interface Prepared {
  /** What the queue orders it by: `key:<name>` or `EVERY_KEY`, `policies`, `users`. */
  touches: readonly string[];
  /** What it works on, for the audit log. Never a secret. */
  target: string;
  run(desk: Desk, call: Call): Promise<Answer>;
}

/** One admin method, as the table has it. */
export interface Method {
  /** Its parameters with secrets. */
  secret: readonly SecretParam[];
  /** Whether it is remembered and audited. */
  changes: boolean;
  /** A lock: acts at once, ahead of the queue and of the audit log. */
  actsFirst: boolean;
  /** The result that tells a failure in the method's own form, where it has one. */
  failed?: (error: string) => string;
  /** @throws nothing: bad parameters are `invalid`, which names the parameter and never quotes it */
  prepare(params: readonly unknown[], secrets: AdminRequest['secrets']): Prepared | { invalid: string };
}

interface Definition<P> {
  /** The parameters in order; the schema is of the object that they make. */
  params: readonly string[];
  /** Which of them are secrets. In the object a secret is `''` and its text is in `Call.secrets`. */
  secret?: readonly string[];
  /** Of parameters that are JSON: the members that are no secrets. */
  open?: { readonly [param: string]: readonly string[] };
  schema: z.ZodMiniType<P>;
  changes?: boolean;
  actsFirst?: boolean;
  failed?: (error: string) => string;
  touches?: (params: P) => readonly string[];
  target?: (params: P) => string;
  run(params: P, desk: Desk, call: Call): Promise<Answer>;
}

/** Makes a method from its definition: positional parameters in, named and checked ones handed to `run`. */
export function method<P>(definition: Definition<P>): Method {
  const { params: names, secret = [], open = {}, schema, changes = false, actsFirst = false } = definition;
  return {
    secret: [
      ...secret.map((name) => ({ index: names.indexOf(name), open: null })),
      ...Object.entries(open).map(([name, open]) => ({ index: names.indexOf(name), open })),
    ],
    changes,
    actsFirst,
    ...(definition.failed === undefined ? {} : { failed: definition.failed }),
    prepare(given, cut) {
      const named: Record<string, unknown> = {};
      // `null` stands for a parameter that is not there.
      for (const [i, name] of names.entries()) if (given[i] !== null && given[i] !== undefined) named[name] = given[i];
      const read = safeParse(schema, named);
      if (!read.success) return { invalid: invalidText(read.error.issues[0]!, named) };
      const params = read.data;
      const secrets = Object.fromEntries(
        cut.map(({ path: [index, ...within], bytes }) => [[names[Number(index)], ...within].join('.'), bytes]),
      );
      return {
        touches: definition.touches?.(params) ?? [],
        target: definition.target?.(params) ?? '',
        run: (desk, call) => definition.run(params, desk, { ...call, secrets }),
      };
    },
  };
}

/** Which parameter, and what it must be: the schema's own words where it has some. */
function invalidText(issue: { path: PropertyKey[]; message: string }, named: Record<string, unknown>): string {
  const where = issue.path.map((step) => (typeof step === 'number' ? `[${step}]` : `.${String(step)}`)).join('');
  const name = String(issue.path[0]);
  if (issue.path.length === 1 && !Object.hasOwn(named, name)) return `${name} is missing`;
  return `${where.slice(1)} ${issue.message === 'Invalid input' ? 'has the wrong type' : issue.message}`;
}
