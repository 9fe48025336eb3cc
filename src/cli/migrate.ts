import { Command } from 'commander';
import { whichInstallation } from './admin-access.ts';

export interface MigrateOptions {
  data?: string;
  config?: string;
  check?: boolean;
  dryRun?: boolean;
  allowEmptyDb?: boolean;
  json?: boolean;
}

/** `redoubt migrate` */
export function migrateCommand(): Command {
  return new Command('migrate')
    .description('bring the database to the schema of this program, as start does')
    .option('--check', 'change nothing; exit code 1 when there is something to migrate')
    .option('--dry-run', 'change nothing; exit code 0 when it could be done')
    .option('--allow-empty-db', 'make a new database although there are keys: every pairing is lost')
    .option('--data <dir>', 'the installation by its data folder (REDOUBT_DATA; ./data)')
    .option('--config <file>', 'the installation by its nsecbunker.json')
    .option('--json', 'print one JSON document')
    .action(async (options: MigrateOptions) => {
      const installation = whichInstallation(options, process.env, process.cwd());
      // The database's library is loaded when it is wanted.
      const { migrate } = await import('./migrate-database.ts');
      await migrate(installation, options);
    });
}
