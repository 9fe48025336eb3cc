import * as z from 'zod/mini';
import type { Outcome, TokenRow } from '../../policy/protocol.ts';
import type { ListRow } from '../answer.ts';
import { bunkerUrl } from '../bunker-url.ts';
import type { Desk } from '../desk.ts';
import { npubEncode } from '../npub.ts';
import { date, hours, id, json, name, page, text } from './fields.ts';
import { keyExists, noSuchKey, notYetUnlocked } from './known-key.ts';
import { type Call, method } from './method.ts';
import { done } from './outcomes.ts';
import { iso, listAnswer } from './rows.ts';

const HOUR_MS = 3_600_000;

/** `create_new_token` [keyName, clientName, policyId, durationInHours?] -> ["ok"] */
export const createNewToken = method({
  params: ['keyName', 'clientName', 'policyId', 'durationInHours'],
  schema: z.object({ keyName: name, clientName: text, policyId: id, durationInHours: z.optional(hours) }),
  changes: true,
  touches: ({ keyName }) => [`key:${keyName}`, 'policies'],
  target: ({ keyName }) => keyName,
  run: async ({ keyName, clientName, policyId, durationInHours }, desk, call) => {
    const expiresAt = durationInHours === undefined ? null : desk.clock.now() + Math.ceil(durationInHours * HOUR_MS);
    const made = await newToken(desk, call, { keyName, clientName, policyId, expiresAt });
    return made.ok ? { ok: true, result: '["ok"]' } : { ok: false, error: made.refusal };
  },
});

/** `issue_token` [JSON {key, client_name, policy_id or policy_name, expires_in_hours? or expires_at?}] -> the token's row. */
export const issueToken = method({
  params: ['options'],
  schema: z.object({
    options: json(
      z.object(
        {
          key: name,
          client_name: text,
          policy_id: z.optional(z.nullable(id)),
          policy_name: z.optional(z.nullable(name)),
          expires_in_hours: z.optional(hours),
          expires_at: z.optional(date),
        },
        'must be JSON {"key", "client_name", "policy_id" or "policy_name", "expires_in_hours"? or "expires_at"?}',
      ),
    ),
  }),
  changes: true,
  touches: ({ options }) => [`key:${options.key}`, 'policies'],
  target: ({ options }) => options.key,
  run: async ({ options }, desk, call) => {
    const expiresAt = expiry(options, desk.clock.now());
    if (typeof expiresAt === 'string') return { ok: false, error: expiresAt };
    const policy = await findPolicy(desk, options);
    if (!policy.ok) return { ok: false, error: policy.refusal };
    const made = await newToken(desk, call, {
      keyName: options.key,
      clientName: options.client_name,
      policyId: policy.value,
      expiresAt,
    });
    if (!made.ok) return { ok: false, error: made.refusal };
    return { ok: true, result: JSON.stringify(tokenRow(made.value, desk).full) };
  },
});

/** `get_key_tokens` [keyName, page?] -> JSON array, oldest first; for a locked key too. */
export const getKeyTokens = method({
  params: ['keyName', 'page'],
  schema: z.object({ keyName: name, page: z.optional(page) }),
  touches: ({ keyName }) => [`key:${keyName}`, 'policies'],
  target: ({ keyName }) => keyName,
  run: async ({ keyName, page = {} }, desk, { longest }) => {
    if (!(await keyExists(desk, keyName))) return { ok: false, error: noSuchKey(keyName) };
    return listAnswer(
      page,
      longest,
      (slice) => desk.policy.ask('pageTokens', { keyName, ...slice }),
      (token, details) => tokenRow(token, desk, details),
    );
  },
});

/** `revoke_token` [tokenId] -> ["ok"] */
export const revokeToken = method({
  params: ['tokenId'],
  schema: z.object({ tokenId: id }),
  changes: true,
  touches: () => ['policies'],
  target: ({ tokenId }) => `token ${tokenId}`,
  run: async ({ tokenId }, desk) => done(await desk.policy.ask('revokeToken', { id: tokenId })),
});

async function newToken(
  desk: Desk,
  call: Call,
  token: { keyName: string; clientName: string; policyId: number; expiresAt: number | null },
): Promise<Outcome<TokenRow>> {
  const row = await desk.policy.ask('findKey', { name: token.keyName });
  if (row === null || row.deletedAt !== null) return { ok: false, refusal: noSuchKey(token.keyName) };
  if (row.pubkey === '') return { ok: false, refusal: notYetUnlocked(token.keyName) };
  return desk.policy.ask('createToken', { ...token, createdBy: call.admin });
}

async function findPolicy(
  desk: Desk,
  {
    policy_id: id,
    policy_name: policyName,
  }: { policy_id?: number | null | undefined; policy_name?: string | null | undefined },
): Promise<Outcome<number>> {
  const isNamed = policyName !== undefined && policyName !== null;
  if (id !== undefined && id !== null) {
    if (isNamed) return { ok: false, refusal: 'Invalid params: policy_id and policy_name are both given' };
    return { ok: true, value: id };
  }
  if (!isNamed) {
    return { ok: false, refusal: 'Invalid params: policy_id or policy_name is missing' };
  }
  const found = await desk.policy.ask('findPolicies', { name: policyName });
  if (found.length === 1) return { ok: true, value: found[0]! };
  if (found.length === 0) return { ok: false, refusal: `no policy named "${policyName}": get_policies lists them` };
  const ids = found.join(', ');
  return { ok: false, refusal: `${found.length} policies are named "${policyName}": say which by policy_id (${ids})` };
}

/** @returns ms since the epoch, null for no expiry, or what is wrong with it */
function expiry(
  {
    expires_in_hours: inHours,
    expires_at: at,
  }: { expires_in_hours?: number | undefined; expires_at?: number | undefined },
  now: number,
): number | null | string {
  if (inHours !== undefined && at !== undefined) {
    return 'Invalid params: expires_in_hours and expires_at exclude each other';
  }
  if (inHours !== undefined) return now + Math.ceil(inHours * HOUR_MS);
  if (at === undefined) return null;
  return at > now ? at : 'Invalid params: expires_at is in the past';
}

/** A token as admins see it. An unredeemed one comes with the URL that a client connects with. */
function tokenRow(token: TokenRow, desk: Desk, details = false): ListRow {
  const npub = token.keyPubkey === null ? null : npubEncode(token.keyPubkey);
  const lean = {
    id: token.id,
    key_name: token.keyName,
    client_name: token.clientName,
    token: `${npub ?? ''}#${token.secret}`,
    policy_id: token.policyId,
    policy_name: token.policyName,
    created_at: iso(token.createdAt),
    updated_at: iso(token.updatedAt),
    expires_at: iso(token.expiresAt),
    redeemed_at: iso(token.redeemedAt),
    redeemed_by: token.redeemedBy,
    time_until_expiration: token.expiresAt === null ? null : (token.expiresAt - desk.clock.now()) / 1000,
  };
  const open = token.redeemedAt === null && token.keyPubkey !== null;
  const added = {
    ...(open ? { bunker_url: bunkerUrl(token.keyPubkey!, desk.settings.relays, token.secret) } : {}),
    revoked_at: iso(token.revokedAt),
    key_user_id: token.keyUserId,
  };
  const full = { ...lean, ...added };
  return { full, lean: details ? full : lean };
}
