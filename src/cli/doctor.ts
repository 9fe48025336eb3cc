import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import type { Examination } from '../maintenance/doctor/examine.ts';
import { type Finding, finding } from '../maintenance/doctor/finding.ts';
import { whichInstallation } from './admin-access.ts';
import { faultLine } from './fault-line.ts';
import { type InstallationOptions, installationCommand } from './installation-command.ts';
import { type OfflineInstallation, offlineInstallation } from './offline-installation.ts';
import { cell, show, table } from './output.ts';
import { Refusal } from './refusal.ts';

/** Exit codes of the doctor alone (docs/DOCTOR.md). */
const HEALTHY = 0;
const WARNINGS = 1;
const BROKEN = 2;
const ITEMS_SHOWN = 5;

/** `redoubt doctor` */
export function doctorCommand(): Command {
  return installationCommand(
    'doctor',
    'look at database, keys and files; exit code 1: warnings, 2: something is broken',
  )
    .option('--json', 'print one JSON document')
    .action(run);
}

async function run(options: InstallationOptions): Promise<void> {
  const installation = whichInstallation(options, process.env, process.cwd());
  // The database's library is loaded when it is wanted.
  const [{ examine }, { lockHolder }, { systemClock }] = await Promise.all([
    import('../maintenance/doctor/examine.ts'),
    import('../lock.ts'),
    import('../actor/clock.ts'),
  ]);
  const findings: Finding[] = [];
  let found: OfflineInstallation | null = null;
  try {
    found = await offlineInstallation(installation);
    findings.push(...found.warnings.map((warning) => finding('configuration-warning', warning)));
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    findings.push(finding('configuration', error.message));
  }
  const nothing: Examination = { tables: {}, pairings: {}, isMigrated: false, findings: [] };
  let examined = nothing;
  if (found !== null) {
    const patient = {
      ...installation,
      database: found.config.database,
      keystore: found.config.keystore.dir,
      legacyKeys: found.legacyKeys,
      kindsNotInAll: found.config.kindsNotInAll,
      // Read before the log: a running daemon writes both.
      head: await signedHead(found),
      now: systemClock.now(),
    };
    examined = unlessUnreadable(() => examine(patient), nothing, findings);
  }
  findings.push(...examined.findings);
  const daemon = unlessUnreadable(() => lockHolder(installation.data), undefined, findings);
  const exit = exitCode(findings);
  const data = {
    healthy: exit === HEALTHY,
    exit,
    database: found?.config.database ?? null,
    migrated: examined.isMigrated,
    daemon: daemon ?? null,
    tables: examined.tables,
    pairings: examined.pairings,
    findings,
  };
  show({ data, text: report({ ...data, daemon }) }, options.json);
  process.exitCode = exit;
}

/** What this user may not read is a finding, and what it was looked at for stays unknown. */
function unlessUnreadable<T>(read: () => T, otherwise: T, findings: Finding[]): T {
  try {
    return read();
  } catch (error) {
    const refusal = faultLine(error);
    if (refusal === null) throw error;
    findings.push(finding('unreadable', refusal));
    return otherwise;
  }
}

/** Null where there is none, or none that can be relied on: a crash may have cut the last line. */
async function signedHead({ data, daemonPubkey }: OfflineInstallation) {
  const path = join(data, 'audit-heads.jsonl');
  if (!existsSync(path)) return null;
  const { lastHead } = await import('./audit-verify.ts');
  return lastHead(path, daemonPubkey).catch((error) => {
    if (error instanceof Refusal) return null;
    throw error;
  });
}

function exitCode(findings: readonly Finding[]): number {
  if (findings.some(({ severity }) => severity === 'broken')) return BROKEN;
  return findings.some(({ severity }) => severity === 'warning') ? WARNINGS : HEALTHY;
}

interface Report {
  exit: number;
  database: string | null;
  /** undefined: nobody knows. */
  daemon: number | null | undefined;
  tables: { [name: string]: number };
  pairings: { [key: string]: number };
  findings: Finding[];
}

function report({ exit, database, daemon, tables, pairings, findings }: Report): string {
  const counts = Object.entries(tables).map(([name, rows]) => `${name} ${rows}`);
  const paired = Object.entries(pairings).map(([name, count]) => [name, count]);
  const runs = daemon === undefined ? 'unknown' : daemon === null ? 'does not run' : `runs as process ${daemon}`;
  const lines = [
    `database  ${database ?? 'unknown'}`,
    `daemon    ${runs}`,
    `rows      ${counts.join(', ') || 'unknown'}`,
    '',
    table(['KEY', 'PAIRINGS'], paired, 'no keys'),
    '',
  ];
  for (const { name, severity, message, action, items } of findings) {
    lines.push(`${severity.toUpperCase().padEnd(7)}  ${name}: ${message}`);
    lines.push(...items.slice(0, ITEMS_SHOWN).map((item) => `           ${cell(item)}`));
    if (items.length > ITEMS_SHOWN) lines.push(`           and ${items.length - ITEMS_SHOWN} more (--json has all)`);
    lines.push(`         ${action}`);
  }
  const verdict = { [HEALTHY]: 'healthy', [WARNINGS]: 'there are warnings', [BROKEN]: 'something is broken' };
  lines.push(verdict[exit as keyof typeof verdict]);
  return lines.join('\n');
}
