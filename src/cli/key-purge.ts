import { createInterface } from 'node:readline/promises';
import type { Command } from 'commander';
import { cell, show } from './output.ts';
import { EXIT, Refusal } from './refusal.ts';
import { checkAccess, type RemoteOptions, remoteCommand, withDaemon } from './remote.ts';

/** `redoubt key purge` */
export function purgeCommand(): Command {
  return remoteCommand('purge', 'remove a deleted key for good: its sealed file, its clients and its tokens')
    .argument('<name>')
    .option('--yes', 'do not ask')
    .action(purge);
}

async function purge(name: string, options: RemoteOptions & { yes?: boolean }): Promise<void> {
  checkAccess(options);
  if (options.yes !== true) await confirm(name);
  await withDaemon(options, (call) => call('purge_key', [name]));
  show({ data: { name, purged: true }, text: `${cell(name)} is purged: its name is free` }, options.json);
}

/** @throws Refusal */
async function confirm(name: string): Promise<void> {
  if (process.stdin.isTTY !== true) {
    throw new Refusal('a purged key is gone for good unless it is in a backup: give --yes to do it', EXIT.usage);
  }
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const typed = await terminal.question('a purged key is gone for good unless it is in a backup; type its name: ');
    if (typed !== name) throw new Refusal('that is not its name: nothing was done');
  } finally {
    terminal.close();
  }
}
