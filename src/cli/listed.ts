import type { Param } from '../admin/encode-request.ts';
import { Refusal } from './refusal.ts';
import type { Call } from './remote.ts';

/** Rows asked for at once; fewer when they turn out to be long. */
const FIRST_PART = 50;
const TOO_LONG = /^the result is longer than/;

interface Wanted {
  params?: readonly Param[];
  /** Rows in all. */
  most?: number;
  /** With what the method leaves out unasked; a row that is too long with it comes without. */
  details?: boolean;
}

/** A list method's whole list, in as many parts as answers have to be short. @throws Refusal */
export async function callList<R extends { id?: number | string; name?: string }>(
  call: Call,
  method: string,
  { params = [], most = Number.POSITIVE_INFINITY, details = false }: Wanted = {},
): Promise<R[]> {
  const rows = new Map<number | string | undefined, R>();
  let offset = 0;
  let part = Math.min(FIRST_PART, most);
  for (;;) {
    const limit = Math.min(part, most - rows.size);
    const read = await readPart<R>(call, method, params, { offset, limit, details });
    if (read === null) {
      part = Math.ceil(limit / 2);
      continue;
    }
    // What was added at the top of the list meanwhile has moved rows into the next part.
    for (const row of read) rows.set(row.id ?? row.name, row);
    offset += read.length;
    if (read.length < limit || rows.size >= most) return [...rows.values()];
  }
}

/** Null when these rows are too many for one answer. */
async function readPart<R>(
  call: Call,
  method: string,
  params: readonly Param[],
  page: { offset: number; limit: number; details: boolean },
): Promise<R[] | null> {
  const ask = async ({ details, ...part }: typeof page) =>
    JSON.parse(await call(method, [...params, JSON.stringify(details ? { ...part, details } : part)])) as R[];
  try {
    return await ask(page);
  } catch (error) {
    if (!(error instanceof Refusal) || !TOO_LONG.test(error.message)) throw error;
    if (page.limit > 1) return null;
    if (!page.details) throw error;
    return await ask({ ...page, details: false });
  }
}
