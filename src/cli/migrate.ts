import type { Command } from 'commander';
import { whichInstallation } from './admin-access.ts';
import { type InstallationOptions, installationCommand } from './installation-command.ts';

export interface MigrateOptions extends InstallationOptions {
  check?: boolean;
  dryRun?: boolean;
  allowEmptyDb?: boolean;
}

/** `redoubt migrate` */
export function migrateCommand(): Command {
  return installationCommand('migrate', 'bring the database to the schema of this program, as start does')
    .option('--check', 'change nothing; exit code 1 when there is something to migrate')
    .option('--dry-run', 'change nothing; exit code 0 when it could be done')
    .option('--allow-empty-db', 'make a new database although there are keys: every pairing is lost')
    .option('--json', 'print one JSON document')
    .action(async (options: MigrateOptions) => {
      const installation = whichInstallation(options, process.env, process.cwd());
      // The database's library is loaded when it is wanted.
      const { migrate } = await import('./migrate-database.ts');
      await migrate(installation, options);
    });
}
