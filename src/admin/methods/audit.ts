import * as z from 'zod/mini';
import { auditEntry } from '../../policy/audit-filter.ts';
import { date, json, limit, name, offset, page, pubkey } from './fields.ts';
import { method } from './method.ts';

const FEW = 100;
const MOST = 1000;

const wanted = json(
  z.object(
    {
      key: z.optional(z.nullable(name)),
      client: z.optional(z.nullable(pubkey)),
      since: z.optional(date),
      // Who sends nothing but a page sends it in this place.
      offset: z.optional(offset),
      limit: z.optional(limit.check(z.maximum(MOST, `must be at most ${MOST}`))),
    },
    'must be JSON {"key"?, "client"?, "since"?, "limit"?}',
  ),
);

/** `get_audit` [JSON {key?, client?, since?, limit?}?, page?] -> JSON array of audit rows, the newest first. */
export const getAudit = method({
  params: ['filter', 'page'],
  schema: z.object({ filter: z.optional(wanted), page: z.optional(page) }),
  run: async ({ filter = {}, page = {} }, desk) => {
    if (page.limit !== undefined && page.limit > MOST) {
      return { ok: false, error: `Invalid params: page.limit must be at most ${MOST}` };
    }
    const { key = null, client = null, since = null } = filter;
    const offset = page.offset ?? filter.offset ?? 0;
    const limit = page.limit ?? filter.limit ?? FEW;
    const found = await desk.policy.ask('listAudit', { key, client, since, offset, limit });
    if (!found.ok) return { ok: false, error: found.refusal };
    const rows = found.value
      .map(auditEntry)
      .map((entry) => ({ full: entry, lean: page.details === true ? entry : lean(entry) }));
    return { ok: true, rows, offset };
  },
});

/** What only tells one request from another goes first when there is not enough room. */
function lean(entry: ReturnType<typeof auditEntry>): object {
  const { hash: _hash, params, ...row } = entry;
  if (typeof params !== 'object' || params === null) return { ...row, params };
  const { envelope: _envelope, body: _body, request: _request, ...rest } = params;
  return { ...row, params: rest };
}
