import { Command } from 'commander';
import { listAudit } from './audit-list.ts';
import { installationCommand } from './installation-command.ts';
import { remoteCommand } from './remote.ts';

/** `redoubt audit ...`; all but the list work on the database file, whether a daemon runs or not. */
export function auditCommand(): Command {
  const audit = new Command('audit').description('the log of everything that was signed');
  audit.addCommand(
    filtered(remoteCommand('list', 'the newest rows of the log, from the running daemon'))
      .option('--limit <n>', 'how many; 100 when left out, 1000 at most')
      .action(listAudit),
  );
  audit.addCommand(
    installationCommand('verify', 'check that no row was changed, removed or reordered')
      .option('--head <file>', 'a copy of audit-heads.jsonl that was kept elsewhere: shows a log that was written anew')
      .option('--json', 'print one JSON document')
      // The database's library is loaded when it is wanted.
      .action(async (options) => (await import('./audit-verify.ts')).verifyAudit(options)),
  );
  audit.addCommand(
    filtered(installationCommand('export', 'the whole log as JSON lines, the oldest row first'))
      .option('--json', 'print one JSON document, an array, instead of lines')
      .action(async (options) => (await import('./audit-export.ts')).exportAudit(options)),
  );
  return audit;
}

function filtered(command: Command): Command {
  return command
    .option('--key <name>', 'only rows about this key')
    .option('--client <pubkey>', 'only rows about this client: hex or npub')
    .option('--since <time>', 'only rows since: a date like 2027-01-31T12:00:00Z, or how long ago it was, like 12h');
}
