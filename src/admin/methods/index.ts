import { createNewKey } from './create-new-key.ts';
import { getKeys } from './get-keys.ts';
import { lockKey, lockKeys } from './lock.ts';
import type { Method } from './method.ts';
import { createNewPolicy, getPolicies } from './policies.ts';
import { getStatus, ping } from './status.ts';
import { createNewToken, getKeyTokens, issueToken, revokeToken } from './tokens.ts';
import { unlockKey } from './unlock-key.ts';

/** The admin methods by name. docs/ADMIN.md */
export const methods: ReadonlyMap<string, Method> = new Map([
  ['ping', ping],
  ['get_keys', getKeys],
  ['get_policies', getPolicies],
  ['get_key_tokens', getKeyTokens],
  ['create_new_key', createNewKey],
  ['create_new_policy', createNewPolicy],
  ['create_new_token', createNewToken],
  ['issue_token', issueToken],
  ['revoke_token', revokeToken],
  ['unlock_key', unlockKey],
  ['lock_key', lockKey],
  ['lock_keys', lockKeys],
  ['get_status', getStatus],
]);
