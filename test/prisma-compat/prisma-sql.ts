/** The statements that Prisma's client sends for nsecbunkerd's models: every column by its name, and only those. */
import type Database from 'better-sqlite3';

type Kind = 'integer' | 'text' | 'date' | 'boolean';

/** A trailing `?`: may be null. */
const MODELS: { readonly [model: string]: { readonly [column: string]: `${Kind}${'' | '?'}` } } = {
  Key: { id: 'integer', keyName: 'text', createdAt: 'date', updatedAt: 'date', deletedAt: 'date?', pubkey: 'text' },
  KeyUser: {
    id: 'integer',
    keyName: 'text',
    userPubkey: 'text',
    createdAt: 'date',
    updatedAt: 'date',
    revokedAt: 'date?',
    lastUsedAt: 'date?',
    description: 'text?',
  },
  Token: {
    id: 'integer',
    keyName: 'text',
    token: 'text',
    clientName: 'text',
    createdBy: 'text',
    createdAt: 'date',
    updatedAt: 'date',
    deletedAt: 'date?',
    expiresAt: 'date?',
    redeemedAt: 'date?',
    keyUserId: 'integer?',
    policyId: 'integer?',
  },
  Policy: {
    id: 'integer',
    name: 'text',
    createdAt: 'date',
    updatedAt: 'date',
    deletedAt: 'date?',
    expiresAt: 'date?',
    description: 'text?',
  },
  PolicyRule: {
    id: 'integer',
    method: 'text',
    kind: 'text?',
    maxUsageCount: 'integer?',
    currentUsageCount: 'integer?',
    policyId: 'integer?',
  },
  SigningCondition: {
    id: 'integer',
    method: 'text?',
    kind: 'text?',
    content: 'text?',
    keyUserKeyName: 'text?',
    allowed: 'boolean?',
    keyUserId: 'integer?',
  },
  Log: {
    id: 'integer',
    timestamp: 'date',
    type: 'text',
    method: 'text?',
    params: 'text?',
    keyUserId: 'integer?',
  },
  Request: {
    id: 'text',
    keyName: 'text?',
    createdAt: 'date',
    requestId: 'text',
    remotePubkey: 'text',
    method: 'text',
    params: 'text?',
    allowed: 'boolean?',
  },
  User: {
    id: 'integer',
    username: 'text',
    domain: 'text',
    password: 'text',
    email: 'text',
    createdAt: 'date',
    updatedAt: 'date',
    deletedAt: 'date?',
    pubkey: 'text',
  },
};

export const models = Object.keys(MODELS);

/** `findMany()`: its rows. */
export function findMany(db: Database.Database, model: string): { [column: string]: unknown }[] {
  const columns = Object.keys(MODELS[model]!).map((column) => `\`main\`.\`${model}\`.\`${column}\``);
  const sql = `SELECT ${columns.join(', ')} FROM \`main\`.\`${model}\` WHERE 1=1 LIMIT ? OFFSET ?`;
  return db.prepare(sql).all(-1, 0) as { [column: string]: unknown }[];
}

/** `create()`: the row that it answers with. */
export function create(
  db: Database.Database,
  model: string,
  row: { [column: string]: unknown },
): { [column: string]: unknown } {
  const given = Object.keys(row);
  const returned = Object.keys(MODELS[model]!).map((column) => `\`${column}\` AS \`${column}\``);
  const sql = `INSERT INTO \`main\`.\`${model}\` (${given.map((column) => `\`${column}\``).join(', ')})
    VALUES (${given.map(() => '?').join(',')}) RETURNING ${returned.join(', ')}`;
  return db.prepare(sql).get(...Object.values(row)) as { [column: string]: unknown };
}

/** `Model.column` of every value that the client could not turn into the model's type. */
export function misfits(db: Database.Database): string[] {
  return models.flatMap((model) =>
    findMany(db, model).flatMap((row) =>
      Object.entries(MODELS[model]!)
        .filter(([column, kind]) => !fits(row[column], kind))
        .map(([column]) => `${model}.${column} = ${String(row[column])}`),
    ),
  );
}

function fits(value: unknown, kind: `${Kind}${'' | '?'}`): boolean {
  if (value === null) return kind.endsWith('?');
  switch (kind.replace('?', '') as Kind) {
    case 'text':
      return typeof value === 'string';
    case 'integer':
      return Number.isSafeInteger(value);
    case 'boolean':
      return value === 0 || value === 1;
    case 'date':
      // Milliseconds: seconds would lie in 1970.
      return Number.isSafeInteger(value) && (value as number) > 1_500_000_000_000;
    default:
      return false;
  }
}
