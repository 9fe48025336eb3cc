import { Command } from 'commander';

/** `redoubt audit ...`; works on the database file, whether a daemon runs or not. */
export function auditCommand(): Command {
  const audit = new Command('audit').description('the log of everything that was signed');
  audit
    .command('verify')
    .description('check that no row was changed, removed or reordered')
    .option('--data <dir>', 'the installation by its data folder (REDOUBT_DATA; ./data)')
    .option('--config <file>', 'the installation by its nsecbunker.json')
    .option('--head <file>', 'a copy of audit-heads.jsonl that was kept elsewhere: shows a log that was written anew')
    .option('--json', 'print one JSON document')
    // The database's library is loaded when it is wanted.
    .action(async (options) => (await import('./audit-verify.ts')).verifyAudit(options));
  return audit;
}
