import { readDateTime } from '../../../prisma-compat/date-time.ts';
import { selectFrom, tablesOf } from '../columns.ts';
import { type Finding, type FindingName, finding } from './finding.ts';
import type { Opened } from './patient.ts';

const WEEK_MS = 7 * 86_400_000;
/** Logs in to a relay, logs in over HTTP, asks relays to vanish: docs/POLICY.md */
const SENSITIVE = [22_242, 27_235, 62];

interface TokenRow {
  id: number;
  keyName: string;
  clientName: string;
  createdAt: unknown;
  expiresAt: unknown;
  deletedAt: unknown;
  redeemedAt: unknown;
  keyUserId: number | null;
  policyId: number | null;
}

/** Tokens and policies that have expired or are about to, tokens that can be guessed, and what `all` grants. */
export function examineTokens(patient: Opened): Finding[] {
  const { db, now } = patient;
  const columns = [
    'id',
    'keyName',
    'clientName',
    'createdAt',
    'expiresAt',
    'deletedAt',
    'redeemedAt',
    'keyUserId',
    'policyId',
  ];
  const revoked = new Set<unknown>(
    db
      .prepare(selectFrom(db, 'KeyUser', ['id', 'revokedAt']))
      .all()
      .flatMap((row) => {
        const { id, revokedAt } = row as { id: number; revokedAt: unknown };
        return readDateTime(revokedAt) === null ? [] : [id];
      }),
  );
  const madeByUs = adoptedAt(patient);
  const items: { [N in FindingName]?: string[] } = {};
  const add = (name: FindingName, item: string) => {
    items[name] = [...(items[name] ?? []), item];
  };
  const inUse = new Set<number>();
  for (const token of db.prepare(selectFrom(db, 'Token', columns)).iterate() as IterableIterator<TokenRow>) {
    if (token.deletedAt !== null) continue;
    const { id, keyName, clientName } = token;
    const end = readDateTime(token.expiresAt);
    const expires = end === null ? null : `${keyName} ${clientName} (token ${id}): ${new Date(end).toISOString()}`;
    if (token.redeemedAt === null) {
      const made = readDateTime(token.createdAt) ?? 0;
      if ((end === null || end > now) && made < madeByUs)
        add('guessable-tokens', `${keyName} ${clientName} (token ${id})`);
      continue;
    }
    if (token.keyUserId === null || revoked.has(token.keyUserId)) continue;
    if (token.policyId !== null) inUse.add(token.policyId);
    if (expires !== null && end! <= now) add('tokens-expired', expires);
    else if (expires !== null && end! <= now + WEEK_MS) add('tokens-expiring', expires);
  }
  const policies = db.prepare(selectFrom(db, 'Policy', ['id', 'name', 'expiresAt', 'deletedAt'])).iterate();
  for (const { id, name, expiresAt, deletedAt } of policies as IterableIterator<TokenRow & { name: string }>) {
    const end = readDateTime(expiresAt);
    if (deletedAt !== null || end === null || !inUse.has(id)) continue;
    const item = `${name} (policy ${id}): ${new Date(end).toISOString()}`;
    if (end <= now) add('policies-expired', item);
    else if (end <= now + WEEK_MS) add('policies-expiring', item);
  }
  const messages: { [N in FindingName]?: (count: number) => string } = {
    'tokens-expired': (count) => `${count} clients have a token that has expired`,
    'tokens-expiring': (count) => `${count} clients have a token that expires within 7 days`,
    'policies-expired': (count) => `${count} policies that clients are paired under have expired`,
    'policies-expiring': (count) => `${count} policies that clients are paired under expire within 7 days`,
    'guessable-tokens': (count) => `${count} unredeemed tokens were made by nsecbunkerd, whose secrets can be guessed`,
  };
  const findings = Object.entries(items).map(([name, list]) => {
    return finding(name as FindingName, messages[name as FindingName]!(list.length), list);
  });
  return [...findings, ...examineAll(patient)];
}

/** Tokens that are older were made by nsecbunkerd. */
function adoptedAt({ db, isMigrated }: Opened): number {
  if (!isMigrated) return Number.POSITIVE_INFINITY;
  const origin = db.prepare(`SELECT value FROM redoubt_meta WHERE name = 'origin'`).pluck().get();
  if (origin !== 'adopted') return 0;
  const first = db.prepare('SELECT min(executed_at) FROM redoubt_migrations').pluck().get();
  return readDateTime(first) ?? 0;
}

/** Kinds that living rules for every kind grant, and that a new installation would not let them. */
function examineAll({ db, isMigrated, kindsNotInAll }: Opened): Finding[] {
  const isNew =
    isMigrated && db.prepare(`SELECT 1 FROM redoubt_meta WHERE name = 'origin' AND value = 'new'`).get() !== undefined;
  const excluded = kindsNotInAll ?? (isNew ? SENSITIVE : []);
  const kinds = SENSITIVE.filter((kind) => !excluded.includes(kind));
  if (kinds.length === 0 || !tablesOf(db).includes('PolicyRule')) return [];
  const policies = db
    .prepare(
      `SELECT DISTINCT p.name || ' (policy ' || p.id || ')' FROM "PolicyRule" r JOIN "Policy" p ON p.id = r.policyId
        WHERE r.method = 'sign_event' AND (r.kind IS NULL OR r.kind IN ('', 'all')) AND p.deletedAt IS NULL`,
    )
    .pluck()
    .all() as string[];
  if (policies.length === 0) return [];
  return [finding('kinds-in-all', `rules for every kind grant kind ${kinds.join(', ')} too`, policies)];
}
