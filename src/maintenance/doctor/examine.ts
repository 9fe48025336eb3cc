import { existsSync } from 'node:fs';
import Database from 'better-sqlite3';
import { pairings } from '../../../prisma-compat/strip-photocopies.ts';
import { KeystoreFiles } from '../../keystore/files.ts';
import { verifyChain } from '../../policy/verify.ts';
import { databaseFault } from '../../store/fault.ts';
import { inspectDatabase } from '../../store/inspect.ts';
import { MIGRATION_NAMES } from '../../store/migration-names.ts';
import { columnsOf, selectFrom, tablesOf } from '../columns.ts';
import { examineConditions } from './conditions.ts';
import { examineFiles } from './files.ts';
import { type Finding, finding } from './finding.ts';
import { examineKeys, examineKeystore } from './keys.ts';
import type { Opened, Patient } from './patient.ts';
import { examineTokens } from './tokens.ts';

export interface Examination {
  /** Rows of each table; empty when the database cannot be read. */
  tables: { [name: string]: number };
  /** Redeemed tokens with a KeyUser, by key. */
  pairings: { [key: string]: number };
  isMigrated: boolean;
  findings: Finding[];
}

/** How long another program's lock is waited for, ms. */
const LOCK_WAIT_MS = 5_000;

/** Looks at an installation, whether a daemon runs on it or not, and changes nothing. */
export function examine(patient: Patient): Examination {
  const keystore = new KeystoreFiles(patient.keystore);
  const result: Examination = { tables: {}, pairings: {}, isMigrated: false, findings: [] };
  result.findings.push(...examineKeystore(keystore, patient.legacyKeys));
  examineDatabase(patient, keystore, result);
  result.findings.push(...examineFiles(patient));
  return result;
}

function examineDatabase(patient: Patient, keystore: KeystoreFiles, result: Examination): void {
  const { database, legacyKeys } = patient;
  const found = inspectDatabase(database);
  if (!found.ok) result.findings.push(finding('database-refused', found.refusal));
  if (found.ok && (found.state === 'missing' || found.state === 'empty')) {
    const keys = keystore.pubkeys().length + legacyKeys.length;
    const state = found.state === 'missing' ? 'there is no database at' : 'there are no tables in the database';
    const wiped = finding(
      'database-missing',
      `${state} ${database}, and there are ${keys} keys: every pairing is gone`,
    );
    result.findings.push(keys > 0 ? wiped : finding('database-new', `${state} ${database}`));
    return;
  }
  result.isMigrated = found.ok && found.state === 'ours' && found.applied.length === MIGRATION_NAMES.length;
  if (found.ok && !result.isMigrated) {
    result.findings.push(finding('database-not-migrated', 'Redoubt has not brought the database to its own form yet'));
  }
  try {
    const readonly = !existsSync(`${database}-journal`);
    const db = new Database(database, { readonly, fileMustExist: true, timeout: LOCK_WAIT_MS });
    try {
      readDatabase({ ...patient, db, isMigrated: result.isMigrated }, keystore, result);
    } finally {
      db.close();
    }
  } catch (error) {
    const fault = databaseFault(error);
    if (fault === null) throw error;
    // A file that is refused as a whole was told of.
    if (found.ok) result.findings.push(finding('database-damaged', `the database ${database}: ${fault.reason}`));
  }
}

function readDatabase(patient: Opened, keystore: KeystoreFiles, result: Examination): void {
  const { db, database } = patient;
  const { findings } = result;
  const check = db.pragma('quick_check(1)', { simple: true });
  if (check !== 'ok') findings.push(finding('database-damaged', `the database ${database} is damaged`));
  for (const table of tablesOf(db)) {
    result.tables[table] = db.prepare(`SELECT count(*) FROM "${table}"`).pluck().get() as number;
  }
  if (!columnsOf(db, 'Token').has('keyUserId') || !columnsOf(db, 'KeyUser').has('userPubkey')) return;
  result.pairings = pairingsByKey(patient);
  const dangling = db.pragma('foreign_key_check') as { table: string; rowid: number }[];
  if (dangling.length > 0) {
    const items = dangling.slice(0, 20).map(({ table, rowid }) => `${table} ${rowid}`);
    findings.push(finding('dangling-references', `${dangling.length} rows refer to a row that is gone`, items));
  }
  findings.push(...examineConditions(patient), ...examineTokens(patient), ...examineKeys(patient, keystore));
  const chain = verifyChain(db, patient.head);
  if (!chain.ok) findings.push(finding('audit-broken', chain.wrong?.line ?? 'the audit log is broken'));
}

function pairingsByKey({ db }: Opened): { [key: string]: number } {
  const counts: { [key: string]: number } = {};
  for (const { keyName } of db.prepare(selectFrom(db, 'Key', ['keyName'])).all() as { keyName: string }[]) {
    counts[keyName] = 0;
  }
  const paired = new Set(pairings(db));
  const tokens = db.prepare('SELECT id, keyName FROM "Token"').iterate();
  for (const { id, keyName } of tokens as IterableIterator<{ id: number; keyName: string }>) {
    if (paired.has(id)) counts[keyName] = (counts[keyName] ?? 0) + 1;
  }
  return counts;
}
