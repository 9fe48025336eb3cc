import { Command } from 'commander';

/** A command on an installation's files. */
export function installationCommand(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .option('--data <dir>', 'the installation by its folder (REDOUBT_DATA)')
    .option(
      '--config <file>',
      'the installation by its nsecbunker.json (REDOUBT_CONFIG; config/nsecbunker.json, else data/nsecbunker.json)',
    );
}

export interface InstallationOptions {
  data?: string;
  config?: string;
  json?: boolean;
}
