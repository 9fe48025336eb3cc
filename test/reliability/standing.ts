import type { Declared } from './declared.ts';
import type { FileRecord, Ledger } from './ledger.ts';
import type { Promised } from './promises.ts';

/** A file that shows a promise; null: it has not been run here. */
export interface Shown {
  file: string;
  record: FileRecord | null;
}

/** How a promise stands. */
export interface Standing {
  promised: Promised;
  shown: Shown[];
  /** Files that are listed and do not exist. */
  missing: string[];
  failed: string[];
  notRun: string[];
  /** All of its files exist, ran and passed. */
  holds: boolean;
}

/**
 * How each promise stands by what the ledger holds: shown by the files that the promise lists, and by every other file that
 * prints figures for it, or has. Records of files that are gone count for nothing.
 */
export function standings(
  promises: readonly Promised[],
  ledger: Ledger,
  exists: (file: string) => boolean,
  declared: Declared = {},
): Standing[] {
  return promises.map((promised) => {
    const printing = Object.keys(ledger).filter((file) => ledger[file]!.shows.includes(promised.id));
    const declaring = Object.keys(declared).filter((file) => declared[file]!.includes(promised.id));
    const files = [...new Set([...promised.files, ...declaring, ...printing.filter(exists)])].sort();
    const missing = files.filter((file) => !exists(file));
    const shown = files.filter(exists).map((file) => ({ file, record: ledger[file] ?? null }));
    const failed = shown.filter(({ record }) => record !== null && record.failed > 0).map(({ file }) => file);
    const notRun = shown.filter(({ record }) => record === null).map(({ file }) => file);
    const holds = shown.length > 0 && missing.length + failed.length + notRun.length === 0;
    return { promised, shown, missing, failed, notRun, holds };
  });
}

/** In a few words. */
export function verdict({ holds, missing, failed, notRun, shown }: Standing): string {
  if (holds) return 'holds';
  const parts = [
    failed.length > 0 ? `FAILED: ${briefly(failed)}` : '',
    missing.length > 0 ? `missing: ${briefly(missing)}` : '',
    notRun.length > 0 ? `not run: ${briefly(notRun)}` : '',
    shown.length + missing.length === 0 ? 'nothing shows it' : '',
  ];
  return parts.filter(Boolean).join('; ');
}

function briefly(files: string[]): string {
  return files.map((file) => file.replace(/^test\/|\.ts$/g, '')).join(', ');
}
