type Tables = { [table: string]: string[] };

/** The tables and columns that all 22 migrations of nsecbunkerd 0.10.5 leave. */
const LAST: { readonly [table: string]: readonly string[] } = {
  Key: ['id', 'keyName', 'createdAt', 'updatedAt', 'deletedAt', 'pubkey'],
  KeyUser: ['id', 'keyName', 'userPubkey', 'createdAt', 'updatedAt', 'lastUsedAt', 'description', 'revokedAt'],
  Token: [
    'id',
    'keyName',
    'token',
    'clientName',
    'createdBy',
    'createdAt',
    'updatedAt',
    'deletedAt',
    'expiresAt',
    'redeemedAt',
    'keyUserId',
    'policyId',
  ],
  Policy: ['id', 'name', 'createdAt', 'updatedAt', 'expiresAt', 'deletedAt', 'description'],
  PolicyRule: ['id', 'method', 'kind', 'maxUsageCount', 'currentUsageCount', 'policyId'],
  SigningCondition: ['id', 'method', 'kind', 'content', 'keyUserKeyName', 'allowed', 'keyUserId'],
  Log: ['id', 'timestamp', 'type', 'method', 'params', 'keyUserId'],
  Request: ['id', 'keyName', 'createdAt', 'requestId', 'remotePubkey', 'method', 'params', 'allowed'],
  User: ['id', 'username', 'domain', 'password', 'email', 'createdAt', 'updatedAt', 'deletedAt', 'pubkey'],
};

/** The migration that made a table or a column, by its number; what is not here was there after the first 12. */
const SINCE: { readonly [name: string]: number } = {
  'KeyUser.revokedAt': 13,
  Request: 14,
  'Request.method': 15,
  'Request.params': 15,
  'Request.allowed': 16,
  Key: 19,
  User: 21,
  'User.domain': 22,
};

/** The 18th migration made this column and the 19th dropped it. */
const RESULT_ONLY_AFTER = 18;

/** The fewest migrations that are understood: the first release that had tokens. */
export const FEWEST_MIGRATIONS = 12;

/** What a file of nsecbunkerd has after its first `count` migrations, 12 at least. */
export function tablesAfter(count: number): Tables {
  const there = (name: string) => (SINCE[name] ?? 0) <= count;
  const tables: Tables = {};
  for (const [table, columns] of Object.entries(LAST)) {
    if (there(table)) tables[table] = columns.filter((column) => there(`${table}.${column}`));
  }
  if (count === RESULT_ONLY_AFTER) tables.Request?.push('result');
  return tables;
}
