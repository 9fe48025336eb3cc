/** Kinds of parameters that several methods take. They come as they come: numbers as text, text as numbers. */
import * as z from 'zod/mini';
import { readPubkey } from '../npub.ts';

const HUNDRED_YEARS_H = 876_000;
const UNSTORABLE = 'has a NUL character or half of a surrogate pair';

/** The name of a key that is to be. */
export const newKeyName = z
  .string('must be text')
  .check(z.regex(/^[A-Za-z0-9._@ -]{1,128}$/, 'must be 1 to 128 of the characters A-Z a-z 0-9 . _ @ - and space'));

/** The name of something that exists; older installations have names of every kind. */
export const name = z
  .string('must be text')
  .check(
    z.minLength(1, 'is empty'),
    z.maxLength(256, 'is longer than 256 characters'),
    z.refine(isStorable, UNSTORABLE),
  );

export const text = z
  .string('must be text')
  .check(z.maxLength(1024, 'is longer than 1024 characters'), z.refine(isStorable, UNSTORABLE));

/** A secret's text was taken out before this is looked at: what is left of it is an empty string. */
export const secret = z.literal('', 'must be text');

export const id = z.pipe(
  z.transform(numeric),
  z.int('must be a number').check(z.minimum(1, 'must be a number greater than 0')),
);

/** A whole number of at least 1, where null and '' stand for no limit. */
export const count = z.pipe(
  z.transform((value) => {
    return value === '' || value === null ? undefined : numeric(value);
  }),
  z.optional(z.int('must be a whole number').check(z.minimum(1, 'must be at least 1; leave it out for no limit'))),
);

/** Hours, fractions allowed; null and '' stand for no end. */
export const hours = z.pipe(
  z.transform((value) => {
    if (value === '' || value === null) return undefined;
    return typeof value === 'string' && /^\d+(\.\d+)?$/.test(value) ? Number(value) : value;
  }),
  z.optional(
    z
      .number('must be a number of hours')
      .check(
        z.gt(0, 'must be more than 0 hours; leave it out for no end'),
        z.maximum(HUNDRED_YEARS_H, 'must be at most 876000 hours (a hundred years); leave it out for no end'),
      ),
  ),
);

/** An ISO 8601 date, or ms since the epoch -> ms since the epoch; null and '' stand for none. */
export const date = z.pipe(
  z.transform((value) => {
    if (value === '' || value === null) return undefined;
    if (typeof value !== 'string') return value;
    // As many digits as a time in ms has; fewer may be a year.
    return /^\d{12,15}$/.test(value) ? Number(value) : Date.parse(value);
  }),
  z.optional(
    z
      .int('must be a date like 2027-01-31T12:00:00Z')
      .check(z.minimum(0, 'must be a date since 1970'), z.maximum(8.64e15, 'is too far in the future')),
  ),
);

/** A public key as hex or npub -> hex. */
export const pubkey = z.pipe(
  z.transform((value) => (typeof value === 'string' ? (readPubkey(value.trim()) ?? undefined) : undefined)),
  z.string('must be a public key: 64 hex digits, or an npub'),
);

/** True or false; a text or 1 and 0 will do. */
export const yes = z.pipe(
  z.transform((value) => (typeof value === 'boolean' ? value : YES_OR_NO.get(value))),
  z.boolean('must be true or false'),
);
// Looked up as they came: an object need not have a text.
const YES_OR_NO: ReadonlyMap<unknown, boolean> = new Map<unknown, boolean>([
  ['true', true],
  ['1', true],
  [1, true],
  ['false', false],
  ['0', false],
  [0, false],
]);

/** A parameter that is JSON text; the object itself is taken too. */
export function json<S extends z.ZodMiniType>(schema: S) {
  return z.pipe(z.transform(parse), schema);
}

/** Where a list starts. */
export const offset = z.pipe(
  z.transform(numeric),
  z.int('must be a whole number').check(z.minimum(0, 'must not be negative')),
);

/** How many rows of a list. */
export const limit = z.pipe(
  z.transform(numeric),
  z.int('must be a whole number').check(z.minimum(1, 'must be at least 1')),
);

/** Which part of a list is asked for; `details`: with what is left out unasked. */
export const page = json(
  z.object(
    { offset: z.optional(offset), limit: z.optional(limit), details: z.optional(yes) },
    'must be JSON {"offset", "limit"}',
  ),
);
export type Page = z.infer<typeof page>;

/** What the database would refuse, or give back as another text. */
function isStorable(value: string): boolean {
  return value.isWellFormed() && !value.includes('\0');
}

/** A number as text is the number. */
function numeric(value: unknown): unknown {
  return typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : value;
}

function parse(value: unknown, context: { issues: { push(issue: never): unknown } }): unknown {
  if (typeof value !== 'string') return value;
  try {
    return JSON.parse(value);
  } catch {
    context.issues.push({ code: 'custom', message: 'is not JSON', input: undefined } as never);
    return z.NEVER;
  }
}
