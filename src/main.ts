#!/usr/bin/env node
import { Command, CommanderError } from 'commander';
import { auditCommand } from './cli/audit.ts';
import { backupCommand } from './cli/backup.ts';
import { configCommand } from './cli/config.ts';
import { connectCommand } from './cli/connect.ts';
import { doctorCommand } from './cli/doctor.ts';
import { faultLine } from './cli/fault-line.ts';
import { keyCommand } from './cli/key.ts';
import { migrateCommand } from './cli/migrate.ts';
import { say } from './cli/output.ts';
import { pairCommand } from './cli/pair.ts';
import { policyCommand } from './cli/policy.ts';
import { EXIT, Refusal } from './cli/refusal.ts';
import { requestsCommand } from './cli/requests.ts';
import { restoreCommand } from './cli/restore.ts';
import { watchOutput } from './cli/standard-output.ts';
import { startCommand } from './cli/start.ts';
import { statusCommand } from './cli/status.ts';
import { stripPhotocopiesCommand } from './cli/strip-photocopies.ts';
import { tokenCommand } from './cli/token.ts';
import { topCommand } from './cli/top.ts';
import { userCommand } from './cli/user.ts';
import { version } from './version.ts';

/** Every command, with its flags. */
export function program(): Command {
  return new Command('redoubt')
    .description('a Nostr remote signer (NIP-46 bunker) that keeps every key in a thread of its own')
    .version(version)
    .addCommand(startCommand())
    .addCommand(statusCommand())
    .addCommand(topCommand())
    .addCommand(keyCommand())
    .addCommand(policyCommand())
    .addCommand(tokenCommand())
    .addCommand(userCommand())
    .addCommand(requestsCommand())
    .addCommand(pairCommand())
    .addCommand(connectCommand())
    .addCommand(auditCommand())
    .addCommand(configCommand())
    .addCommand(doctorCommand())
    .addCommand(stripPhotocopiesCommand())
    .addCommand(backupCommand())
    .addCommand(restoreCommand())
    .addCommand(migrateCommand());
}

/**
 * The command line: parse, call, exit code. docs/CLI.md
 *
 * @param args without node and the script
 */
export async function main(args: readonly string[]): Promise<number> {
  const command = program();
  throwInsteadOfExit(command);
  try {
    await command.parseAsync([...args], { from: 'user' });
    return Number(process.exitCode ?? EXIT.done);
  } catch (error) {
    // Commander has said what was wrong, or shown the help that was asked for.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
    const line = error instanceof Refusal ? error.message : faultLine(error);
    if (line === null) throw error;
    say(`redoubt: ${line}`);
    return error instanceof Refusal ? error.exitCode : EXIT.failed;
  }
}

/** Commands do not inherit this when they are added. */
function throwInsteadOfExit(command: Command): void {
  command.exitOverride().showHelpAfterError('(--help shows how it is used)');
  for (const sub of command.commands) throwInsteadOfExit(sub);
}

if (import.meta.main) {
  watchOutput();
  void main(process.argv.slice(2)).then((code) => {
    process.exitCode = code;
  });
}
