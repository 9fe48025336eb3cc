/** What Redoubt adds to nsecbunkerd's tables: nullable columns, which a client that names its columns never sees. */
export const ADDED_COLUMNS: readonly (readonly [table: string, column: string, type: string])[] = [
  ['Key', 'lockedAt', 'DATETIME'],
  ['KeyUser', 'relays', 'TEXT'],
  ['PolicyRule', 'expiresAt', 'DATETIME'],
  ['PolicyRule', 'maxUsagePerToken', 'INTEGER'],
  // nsecbunkerd's fork has this one already.
  ['SigningCondition', 'expiresAt', 'DATETIME'],
  ['Log', 'hash', 'TEXT'],
];
