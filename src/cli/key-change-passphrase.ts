import type { Command } from 'commander';
import { wipe } from '../actor/protocol.ts';
import { cell, show } from './output.ts';
import { EXIT, Refusal } from './refusal.ts';
import { checkAccess, type RemoteOptions, remoteCommand, withDaemon } from './remote.ts';
import { readSecretText } from './secret-text.ts';

/** The daemon gives up on it first, ms. */
const CHANGE_MS = 1_260_000;

interface ChangeOptions extends RemoteOptions {
  all?: boolean;
  passphraseFile?: string;
  newPassphraseFile?: string;
}

/** `redoubt key change-passphrase` */
export function changePassphraseCommand(): Command {
  return remoteCommand('change-passphrase', 'seal a key, or all that share a passphrase, under another one')
    .argument('[name]')
    .option('--all', 'every key that the old passphrase opens')
    .option('--passphrase-file <file>', 'read the old passphrase from a file (- is standard input)')
    .option('--new-passphrase-file <file>', 'read the new one from a file (- is standard input)')
    .action(change);
}

async function change(name: string | undefined, options: ChangeOptions): Promise<void> {
  const { all = false, passphraseFile, newPassphraseFile } = options;
  if ((name !== undefined) === all) throw new Refusal('give the name of a key, or --all', EXIT.usage);
  checkAccess(options);
  const old = await readSecretText('old passphrase', passphraseFile, { option: '--passphrase-file' });
  try {
    const option = '--new-passphrase-file';
    const replacement = await readSecretText('new passphrase', newPassphraseFile, { twice: true, option });
    try {
      await withDaemon(options, (call) => call('change_passphrase', [name ?? '*', old, replacement], CHANGE_MS));
    } finally {
      wipe(replacement);
    }
  } finally {
    wipe(old);
  }
  const text = `${name === undefined ? 'every key that the old passphrase opened' : cell(name)} has the new passphrase`;
  show({ data: { name: name ?? null, changed: true }, text }, options.json);
}
