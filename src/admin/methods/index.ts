import { getAudit } from './audit.ts';
import { changePassphrase } from './change-passphrase.ts';
import { approveRequest, denyRequest, getRequests } from './client-requests.ts';
import { connectClient } from './connect-client.ts';
import { createNewKey } from './create-new-key.ts';
import { deleteKey } from './delete-key.ts';
import { getKeys } from './get-keys.ts';
import { lockKey, lockKeys } from './lock.ts';
import type { Method } from './method.ts';
import { pair } from './pair.ts';
import { createNewPolicy, getPolicies } from './policies.ts';
import { addPolicyRule, deletePolicy, removePolicyRule } from './policy-rules.ts';
import { purgeKey } from './purge-key.ts';
import { addSigningCondition, removeSigningCondition } from './signing-conditions.ts';
import { getStatus, ping } from './status.ts';
import { createNewToken, getKeyTokens, issueToken, revokeToken } from './tokens.ts';
import { unlockKey } from './unlock-key.ts';
import { unlockKeys } from './unlock-keys.ts';
import { getKeyUsers, renameKeyUser, revokeUser } from './users.ts';

/** The admin methods by name. docs/ADMIN.md */
export const methods: ReadonlyMap<string, Method> = new Map([
  ['ping', ping],
  ['get_keys', getKeys],
  ['get_policies', getPolicies],
  ['get_key_tokens', getKeyTokens],
  ['get_key_users', getKeyUsers],
  ['get_audit', getAudit],
  ['create_new_key', createNewKey],
  ['create_new_policy', createNewPolicy],
  ['create_new_token', createNewToken],
  ['issue_token', issueToken],
  ['revoke_token', revokeToken],
  ['rename_key_user', renameKeyUser],
  ['revoke_user', revokeUser],
  ['add_policy_rule', addPolicyRule],
  ['remove_policy_rule', removePolicyRule],
  ['delete_policy', deletePolicy],
  ['add_signing_condition', addSigningCondition],
  ['remove_signing_condition', removeSigningCondition],
  ['delete_key', deleteKey],
  ['purge_key', purgeKey],
  ['change_passphrase', changePassphrase],
  ['pair', pair],
  ['connect_client', connectClient],
  ['unlock_key', unlockKey],
  ['unlock_keys', unlockKeys],
  ['lock_key', lockKey],
  ['lock_keys', lockKeys],
  ['get_requests', getRequests],
  ['approve_request', approveRequest],
  ['deny_request', denyRequest],
  ['get_status', getStatus],
]);
