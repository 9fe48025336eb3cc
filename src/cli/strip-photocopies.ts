import type { Command } from 'commander';
import type { StripFound, Stripped } from '../maintenance/strip.ts';
import { whichInstallation } from './admin-access.ts';
import { type InstallationOptions, installationCommand } from './installation-command.ts';
import { offlineInstallation } from './offline-installation.ts';
import { cell, say, show, table } from './output.ts';
import { EXIT } from './refusal.ts';

interface StripOptions extends InstallationOptions {
  all?: boolean;
  dryRun?: boolean;
}

const SHORT = 16;

/** `redoubt strip-photocopies` */
export function stripPhotocopiesCommand(): Command {
  return installationCommand('strip-photocopies', 'delete the permissions that nsecbunkerd copied from policies')
    .option('--all', 'delete every signing condition, those that were set by hand too')
    .option('--dry-run', 'only say what would be deleted')
    .option('--json', 'print one JSON document')
    .action(run);
}

async function run(options: StripOptions): Promise<void> {
  // The database's library is loaded when it is wanted.
  const [{ stripPhotocopies }, { systemClock }, { Progress }, { Refusal }] = await Promise.all([
    import('../maintenance/strip.ts'),
    import('../actor/clock.ts'),
    import('./progress.ts'),
    import('./refusal.ts'),
  ]);
  const all = options.all === true;
  const dryRun = options.dryRun === true;
  const { config } = await offlineInstallation(whichInstallation(options, process.env, process.cwd()));
  const progress = { copy: new Progress('copying the database (pages)'), delete: new Progress('deleting') };
  const stripped = await stripPhotocopies({
    database: config.database,
    all,
    dryRun,
    now: systemClock.now(),
    pace: { sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)), mono: () => systemClock.mono() },
    onFound: (found) => say(foundText(found, all)),
    onProgress: (what, done, of) => progress[what].update(done, of),
  });
  progress.copy.stop();
  progress.delete.stop();
  if (!stripped.ok) throw new Refusal(stripped.refusal);
  const { value } = stripped;
  show({ data: report(value, config.database, all, dryRun), text: doneText(value, dryRun) }, options.json);
  if (value.pairingsAfter !== value.pairings) process.exitCode = EXIT.failed;
}

function report(stripped: Stripped, database: string, all: boolean, dryRun: boolean) {
  const { counts, byHand, toDelete, deleted, backup, pairings, pairingsAfter } = stripped;
  return {
    database,
    dry_run: dryRun,
    all,
    found: {
      photocopies: counts.photocopy,
      connects: counts.connect,
      overrides: counts.override,
      denials: counts.denial,
      loose: counts.loose,
    },
    by_hand: byHand,
    to_delete: toDelete,
    deleted,
    backup,
    pairings: { before: pairings, after: pairingsAfter },
  };
}

function foundText({ counts, byHand, toDelete, pairings }: StripFound, all: boolean): string {
  const { photocopy, connect, override, denial, loose } = counts;
  const lines = [
    `${photocopy} photocopies and ${connect} connects that redeeming wrote; set by hand: ${override} permissions, ` +
      `${denial} denials; ${loose} rows of nobody; ${pairings} pairings`,
    `${toDelete} rows to delete`,
  ];
  if (!all || byHand.length === 0) return lines.join('\n');
  const rows = byHand.map(({ id, sort, keyName, client, description, method, kind }) => {
    return [id, sort, keyName, client?.slice(0, SHORT), description, method, kind];
  });
  const headings = ['ROW', 'WHAT', 'KEY', 'CLIENT', 'NAME', 'METHOD', 'KIND'];
  return [...lines, 'with these, which somebody set by hand:', table(headings, rows, '')].join('\n');
}

function doneText({ deleted, backup, pairings, pairingsAfter, toDelete }: Stripped, dryRun: boolean): string {
  if (dryRun) return `nothing was changed: ${toDelete} rows would be deleted`;
  const lines = [
    ...(backup === null ? [] : [`the database as it was: ${cell(backup)}`]),
    `${deleted} rows deleted; pairings before ${pairings}, after ${pairingsAfter}`,
  ];
  if (pairings !== pairingsAfter) lines.push('PAIRINGS ARE MISSING: stop the daemon and put the copy back');
  return lines.join('\n');
}
