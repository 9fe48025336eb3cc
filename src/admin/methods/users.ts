import * as z from 'zod/mini';
import type { ConditionRow, UserRow } from '../../policy/protocol.ts';
import type { ListRow } from '../answer.ts';
import { id, name, page, pubkey } from './fields.ts';
import { keyExists, noSuchKey } from './known-key.ts';
import { method } from './method.ts';
import { done } from './outcomes.ts';
import { iso, listAnswer } from './rows.ts';

/**
 * `get_key_users` [keyName, page?] -> JSON array of the clients that were ever bound to the key, oldest first; with
 * details also when their conditions expire.
 */
export const getKeyUsers = method({
  params: ['keyName', 'page'],
  schema: z.object({ keyName: name, page: z.optional(page) }),
  touches: ({ keyName }) => [`key:${keyName}`, 'users'],
  target: ({ keyName }) => keyName,
  run: async ({ keyName, page = {} }, desk, { longest }) => {
    if (!(await keyExists(desk, keyName))) return { ok: false, error: noSuchKey(keyName) };
    return listAnswer(page, longest, (slice) => desk.policy.ask('pageUsers', { keyName, ...slice }), userRow);
  },
});

/** `rename_key_user` [client pubkey, name, keyName?] -> ["ok"]; without keyName under every key that it is bound to. */
export const renameKeyUser = method({
  params: ['pubkey', 'name', 'keyName'],
  schema: z.object({ pubkey, name, keyName: z.optional(name) }),
  changes: true,
  touches: () => ['users'],
  target: ({ pubkey, keyName }) => (keyName === undefined ? pubkey : `${pubkey} of ${keyName}`),
  run: async ({ pubkey, name, keyName = null }, desk) =>
    done(await desk.policy.ask('renameUser', { pubkey, name, keyName })),
});

/** `revoke_user` [keyUserId] -> ["ok"]; in force at the next decision. */
export const revokeUser = method({
  params: ['keyUserId'],
  schema: z.object({ keyUserId: id }),
  changes: true,
  // Its tokens are revoked with it.
  touches: () => ['users', 'policies'],
  target: ({ keyUserId }) => `user ${keyUserId}`,
  run: async ({ keyUserId }, desk) => done(await desk.policy.ask('revokeUser', { id: keyUserId })),
});

function userRow({ conditions, keyName, ...user }: UserRow, details: boolean): ListRow {
  const row = {
    id: user.id,
    // nsecbunkerd's: the key's name; what admins call the client is its description.
    name: keyName,
    pubkey: user.pubkey,
    description: user.description,
    createdAt: iso(user.createdAt),
    lastUsedAt: iso(user.lastUsedAt),
    revokedAt: iso(user.revokedAt),
    signingConditions: conditions.map((condition) => conditionRow(condition, details)),
  };
  return { full: row, lean: row };
}

function conditionRow({ expiresAt, ...condition }: ConditionRow, details: boolean): object {
  return details ? { ...condition, expiresAt: iso(expiresAt) } : condition;
}
