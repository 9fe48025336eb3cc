import { Command } from 'commander';
import { type Secret, wipe } from '../actor/protocol.ts';
import { npubEncode, readPubkey } from '../admin/npub.ts';
import { secretJson } from '../admin/secret-json.ts';
import { isNcryptsec } from '../keystore/import.ts';
import { type AccessOptions, whichInstallation } from './admin-access.ts';
import { installationCommand } from './installation-command.ts';
import { changePassphraseCommand } from './key-change-passphrase.ts';
import { exportCommand } from './key-export.ts';
import { purgeCommand } from './key-purge.ts';
import type { UpgradeOptions } from './key-upgrade.ts';
import { callList } from './listed.ts';
import { withCommands } from './named-commands.ts';
import { cell, say, show, table } from './output.ts';
import { Progress } from './progress.ts';
import { EXIT, Refusal } from './refusal.ts';
import {
  type Call,
  checkAccess,
  DERIVATION_MS,
  type RemoteOptions,
  remoteCommand,
  SWEEP_MS,
  withDaemon,
} from './remote.ts';
import { readSecretText } from './secret-text.ts';

/** Between two looks at how far a sweep has come, ms. */
const LOOK_MS = 500;
const PASSPHRASE_FILE = '--passphrase-file <file>';
const PASSPHRASE_HELP = 'read the passphrase from a file (- is standard input); else it is asked for';

interface KeyOptions extends RemoteOptions {
  passphraseFile?: string;
}

/** `redoubt key ...` */
export function keyCommand(): Command {
  const key = new Command('key').description('the keys that the signer holds');
  key.addCommand(remoteCommand('list', 'list the keys').action(list));
  key.addCommand(
    remoteCommand('create', 'make a new key')
      .argument('<name>', 'letters, digits, . _ @ - and space')
      .option(PASSPHRASE_FILE, PASSPHRASE_HELP)
      .action(create),
  );
  key.addCommand(
    remoteCommand('import', 'take in an existing key')
      .argument('<name>', 'letters, digits, . _ @ - and space')
      .requiredOption('--from <file>', 'file with the nsec, hex or ncryptsec (- is standard input)')
      .option(PASSPHRASE_FILE, PASSPHRASE_HELP)
      .option('--key-passphrase-file <file>', 'the passphrase that an ncryptsec has of its own')
      .action(importKey),
  );
  key.addCommand(
    remoteCommand('unlock', 'unlock keys; several names must share the passphrase')
      .argument('[name...]')
      .option('--all', 'every key that was not locked on purpose')
      .option(PASSPHRASE_FILE, PASSPHRASE_HELP)
      .action(unlock),
  );
  key.addCommand(remoteCommand('lock', 'lock a key, until it is unlocked by name').argument('<name>').action(lock));
  key.addCommand(
    remoteCommand('delete', 'sign nothing with a key any more; its sealed file and its name stay')
      .argument('<name>')
      .action(remove),
  );
  key.addCommand(purgeCommand());
  key.addCommand(changePassphraseCommand());
  key.addCommand(exportCommand());
  key.addCommand(
    installationCommand(
      'upgrade',
      "seal the keys of nsecbunkerd's nsecbunker.json into the keystore; no daemon may run meanwhile",
    )
      .option('--old-passphrase-file <file>', 'the passphrase that they have now')
      .option(PASSPHRASE_FILE, 'the passphrase that they get')
      .option('--same-passphrase', 'seal them under the passphrase that they have')
      .option('--remove-legacy', 'then prove that every sealed key opens, and take them out of nsecbunker.json')
      .option('--remove-deleted', 'take deleted keys out of it too: gone for good, unless they are in a backup')
      .option('--json', 'print one JSON document')
      .action(async (options: UpgradeOptions & AccessOptions) => {
        const installation = whichInstallation(options, process.env, process.cwd());
        // The database's library is loaded when it is wanted.
        await (await import('./key-upgrade.ts')).upgradeKeys(installation, options);
      }),
  );
  return key;
}

interface ListedKey {
  name: string;
  /** Absent as long as nobody knows it. */
  pubkey?: string;
  locked: boolean;
  active?: boolean;
  createdAt?: string;
  userCount?: number;
}

async function list(options: RemoteOptions): Promise<void> {
  const keys = await withDaemon(options, (call) => callList<ListedKey>(call, 'get_keys', { details: true }));
  const data = keys.map(({ name, pubkey = null, locked, active = false, createdAt = null }) => {
    const npub = pubkey === null ? null : npubEncode(pubkey);
    return { name, npub, pubkey, locked, active, createdAt };
  });
  const rows = data.map((key) => [
    key.name,
    key.npub,
    key.locked ? 'locked' : key.active ? 'active' : 'unlocked',
    key.createdAt,
  ]);
  const text = table(['NAME', 'NPUB', 'STATE', 'CREATED'], rows, 'no keys: make one with "redoubt key create NAME"');
  show({ data, text }, options.json);
}

async function create(name: string, options: KeyOptions): Promise<void> {
  checkAccess(options);
  const passphrase = await passphraseOf(options, true);
  await makeKey(name, [passphrase], options);
}

async function importKey(
  name: string,
  options: KeyOptions & { from: string; keyPassphraseFile?: string },
): Promise<void> {
  checkAccess(options);
  const key = await readSecretText('key', options.from, { option: '--from' });
  const secrets = [key];
  try {
    secrets.unshift(await passphraseOf(options, true));
    if (isNcryptsec(key)) {
      const option = '--key-passphrase-file';
      secrets.push(await readSecretText("ncryptsec's own passphrase", options.keyPassphraseFile, { option }));
    }
    await makeKey(name, secrets, options);
  } finally {
    wipe(...secrets);
  }
}

/** @param secrets passphrase, key?, the key's own passphrase? */
async function makeKey(name: string, secrets: Secret[], options: RemoteOptions): Promise<void> {
  try {
    const result = await withDaemon(options, (call) => call('create_new_key', [name, ...secrets], DERIVATION_MS));
    const { npub } = JSON.parse(result) as { npub: string };
    const data = { name, npub, pubkey: readPubkey(npub) };
    show({ data, text: `${cell(name)}  ${npub}` }, options.json);
  } finally {
    wipe(...secrets);
  }
}

interface Unlocked {
  success: number;
  total: number;
  failed: { key: string; error: string }[];
}

async function unlock(names: string[], options: KeyOptions & { all?: boolean }): Promise<void> {
  const areNamed = names.length > 0;
  if (areNamed === (options.all === true)) {
    throw new Refusal('give the names of the keys to unlock, or --all', EXIT.usage);
  }
  checkAccess(options);
  const passphrase = await passphraseOf(options, false);
  try {
    const unlocked = await withDaemon(options, (call) =>
      options.all === true ? sweep(call, passphrase) : unlockEach(call, names, passphrase),
    );
    const { success, total } = unlocked;
    const failed = unlocked.failed.map(({ key, error }) => ({ key, error: withCommands(error) }));
    const lines = [`${success} of ${total} unlocked`, ...failed.map(({ key, error }) => `${cell(key)}: ${error}`)];
    show({ data: { success, total, failed }, text: lines.join('\n') }, options.json);
    if (failed.length > 0) process.exitCode = EXIT.failed;
  } finally {
    wipe(passphrase);
  }
}

async function unlockEach(call: Call, names: string[], passphrase: Secret): Promise<Unlocked> {
  const failed: Unlocked['failed'] = [];
  for (const key of names) {
    const result = JSON.parse(await call('unlock_key', [key, passphrase], DERIVATION_MS));
    if (result.success !== true) failed.push({ key, error: String(result.error) });
  }
  return { success: names.length - failed.length, total: names.length, failed };
}

async function sweep(call: Call, passphrase: Secret): Promise<Unlocked> {
  const options = secretJson({}, { passphrase });
  const keys = async () => (JSON.parse(await call('get_status')) as { keys: { total: number; unlocked: number } }).keys;
  const shown = new Progress('unlocking');
  const started = performance.now();
  const showNow = () => keys().then(({ unlocked, total }) => shown.update(unlocked, total));
  const look = setInterval(() => void showNow().catch(() => {}), LOOK_MS);
  try {
    const swept = JSON.parse(await call('unlock_keys', [options], SWEEP_MS)) as Unlocked;
    shown.stop();
    say(`unlocking took ${((performance.now() - started) / 1000).toFixed(1)} s`);
    return swept;
  } finally {
    clearInterval(look);
    shown.stop();
    wipe(options);
  }
}

async function lock(name: string, options: RemoteOptions): Promise<void> {
  await withDaemon(options, (call) => call('lock_key', [name]));
  show({ data: { name, locked: true }, text: `${cell(name)} is locked` }, options.json);
}

async function remove(name: string, options: RemoteOptions): Promise<void> {
  await withDaemon(options, (call) => call('delete_key', [name]));
  show({ data: { name, deleted: true }, text: `${cell(name)} is deleted` }, options.json);
}

function passphraseOf(options: KeyOptions, twice: boolean): Promise<Secret> {
  return readSecretText('passphrase', options.passphraseFile, { twice, option: '--passphrase-file' });
}
