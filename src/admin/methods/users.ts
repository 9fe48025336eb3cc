import * as z from 'zod/mini';
import type { ConditionRow, UserRow } from '../../policy/protocol.ts';
import { id, name, page, pubkey } from './fields.ts';
import { keyExists, noSuchKey } from './known-key.ts';
import { method } from './method.ts';
import { done } from './outcomes.ts';
import { iso, rowsAnswer } from './rows.ts';

/** `get_key_users` [keyName, page?] -> JSON array of the clients that were ever bound to the key, oldest first. */
export const getKeyUsers = method({
  params: ['keyName', 'page'],
  schema: z.object({ keyName: name, page: z.optional(page) }),
  touches: ({ keyName }) => [`key:${keyName}`, 'users'],
  target: ({ keyName }) => keyName,
  run: async ({ keyName, page }, desk) => {
    if (!(await keyExists(desk, keyName))) return { ok: false, error: noSuchKey(keyName) };
    const { offset = 0, limit = null } = page ?? {};
    const users = await desk.policy.ask('listUsers', { keyName, offset, limit });
    return rowsAnswer(users.map(userRow), undefined);
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

function userRow({ conditions, keyName, ...user }: UserRow): { full: object; lean: object } {
  const common = {
    id: user.id,
    // nsecbunkerd's: the key's name; what admins call the client is its description.
    name: keyName,
    pubkey: user.pubkey,
    description: user.description,
    createdAt: iso(user.createdAt),
    lastUsedAt: iso(user.lastUsedAt),
    revokedAt: iso(user.revokedAt),
  };
  return {
    full: { ...common, signingConditions: conditions.map((row) => ({ ...leanCondition(row), ...expiry(row) })) },
    lean: { ...common, signingConditions: conditions.map(leanCondition) },
  };
}

function leanCondition({ expiresAt: _, ...condition }: ConditionRow): object {
  return condition;
}

function expiry({ expiresAt }: ConditionRow): object {
  return { expiresAt: iso(expiresAt) };
}
