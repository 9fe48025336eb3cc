import type Database from 'better-sqlite3';

/** The installation that is examined. */
export interface Patient {
  configPath: string;
  data: string;
  database: string;
  keystore: string;
  /** Names of keys that lie in nsecbunker.json itself. */
  legacyKeys: readonly string[];
  /** Kinds that `all` does not grant; null when nothing is configured. */
  kindsNotInAll: readonly number[] | null;
  /** Where the audit log stood when it was last signed; null when that is not known. */
  head: { seq: number; hash: string } | null;
  /** ms since the epoch */
  now: number;
}

/** A patient whose database can be read. */
export interface Opened extends Patient {
  db: Database.Database;
  isMigrated: boolean;
}
