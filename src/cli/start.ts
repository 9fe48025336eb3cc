import { Command, InvalidArgumentError } from 'commander';
import type { DaemonOptions } from '../daemon.ts';

interface StartOptions {
  quickstart?: boolean;
  config?: string;
  data?: string;
  migrate: boolean;
  allowEmptyDb?: boolean;
  port?: number;
  httpPort?: number;
}

/** `redoubt start` */
export function startCommand(): Command {
  return new Command('start')
    .description('run the daemon in the foreground')
    .option('--quickstart', 'make what is missing in the data folder, and a key to try it with')
    .option('--config <file>', 'nsecbunker.json (REDOUBT_CONFIG; config/nsecbunker.json)')
    .option('--data <dir>', 'the folder that it lies in (REDOUBT_DATA; ./data for a quickstart)')
    .option('--no-migrate', 'refuse to start when the database has to be migrated')
    .option('--allow-empty-db', 'make a new database although there are keys: every pairing is lost')
    .option('--port <n>', 'port of the embedded relay; 0 picks a free one', port)
    .option('--http-port <n>', 'port of health and metrics; 0 picks a free one', port)
    .action(async (options: StartOptions) => {
      // The daemon is loaded when it is wanted: the other commands do without it.
      const { runDaemon } = await import('../daemon.ts');
      process.exitCode = await runDaemon(daemonOptions(options));
    });
}

/** What the flags mean to the daemon. */
export function daemonOptions(options: StartOptions): DaemonOptions {
  return {
    quickstart: options.quickstart === true,
    migrate: options.migrate,
    allowEmptyDatabase: options.allowEmptyDb === true,
    ...(options.config === undefined ? {} : { config: options.config }),
    ...(options.data === undefined ? {} : { data: options.data }),
    ...(options.port === undefined ? {} : { relayPort: options.port }),
    ...(options.httpPort === undefined ? {} : { httpPort: options.httpPort }),
  };
}

function port(text: string): number {
  const number = Number(text);
  if (/^\d{1,5}$/.test(text) && number <= 65_535) return number;
  throw new InvalidArgumentError('a port is a number from 0 to 65535.');
}
