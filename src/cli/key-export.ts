import { randomFillSync } from 'node:crypto';
import { type Command, Option } from 'commander';
import { newSecret, type Secret, wipe } from '../actor/protocol.ts';
import { npubEncode, readPubkey } from '../admin/npub.ts';
import { forcedCurve } from '../curve/forced.ts';
import { loadCurve } from '../curve/load.ts';
import { pubkeyOf } from '../curve/pubkey-of.ts';
import { checkHolds, deriveKek, deriveUnsealingKey } from '../keystore/derive.ts';
import { type ExportForm, exportKey } from '../keystore/export.ts';
import { KeystoreFiles } from '../keystore/files.ts';
import type { SealedKey } from '../keystore/protocol.ts';
import { openSealed } from '../keystore/seal.ts';
import { whyClosed } from '../keystore/unlock.ts';
import { type AccessOptions, whichInstallation } from './admin-access.ts';
import { installationCommand } from './installation-command.ts';
import { offlineInstallation } from './offline-installation.ts';
import { cell } from './output.ts';
import { Refusal } from './refusal.ts';
import { readSecretText } from './secret-text.ts';

interface ExportOptions extends AccessOptions {
  format: ExportForm['form'];
  passphraseFile?: string;
  keyPassphraseFile?: string;
  json?: boolean;
}

const random = (size: number) => randomFillSync(newSecret(size));

/** `redoubt key export`: works on the keystore's files, whether a daemon runs or not. */
export function exportCommand(): Command {
  return installationCommand('export', 'print a private key, from the keystore, with its passphrase')
    .argument('<name>', 'name or public key')
    .addOption(new Option('--format <form>', 'what to write').choices(['nsec', 'hex', 'ncryptsec']).default('nsec'))
    .option('--passphrase-file <file>', 'read the passphrase from a file (- is standard input); else it is asked for')
    .option('--key-passphrase-file <file>', 'the passphrase that an ncryptsec is to have')
    .option('--json', 'print one JSON document')
    .action(exportNamed);
}

async function exportNamed(name: string, options: ExportOptions): Promise<void> {
  const { config } = await offlineInstallation(whichInstallation(options, process.env, process.cwd()));
  const { dir: keystore, logN } = config.keystore;
  const files = new KeystoreFiles(keystore);
  const sealed = find(files, name);
  const privateKey = await open(files, sealed, options);
  try {
    const text = exportKey(privateKey, await formOf(options, logN), random);
    try {
      await print(sealed, text, options.json === true);
    } finally {
      wipe(text);
    }
  } finally {
    wipe(privateKey);
  }
}

/** By its public key, or by its name: attempts that were cut short may have left a second file with the same name. */
function find(files: KeystoreFiles, name: string): SealedKey {
  const pubkey = readPubkey(name);
  const candidates = pubkey === null ? files.pubkeys() : [pubkey];
  const found = candidates.flatMap((candidate) => {
    const file = files.key(candidate);
    return file.ok && (pubkey !== null || file.sealed.name === name) ? [file.sealed] : [];
  });
  const [first] = found;
  if (first === undefined)
    throw new Refusal(`no key "${cell(name)}" in ${files.folder}: "redoubt key list" names them`);
  if (found.length === 1) return first;
  const npubs = found.map((sealed) => npubEncode(sealed.pubkey)).join(', ');
  throw new Refusal(`${found.length} key files have this name: give one of their public keys instead (${npubs})`);
}

/** The private key, for the caller to wipe. @throws Refusal */
async function open(files: KeystoreFiles, sealed: SealedKey, options: ExportOptions): Promise<Secret> {
  const found = files.slots();
  if (!found.ok) throw new Refusal(found.refusal);
  const slot = found.slots.find(({ id }) => id === sealed.slot);
  if (slot === undefined) throw new Refusal('key file is damaged: put it back from a backup');
  const passphrase = await readSecretText('passphrase', options.passphraseFile, { option: '--passphrase-file' });
  const kek = deriveKek(passphrase, slot);
  wipe(passphrase);
  const unsealingKey = deriveUnsealingKey(kek, sealed.pubkey);
  try {
    const unsealing = { sealed, slot, unsealingKey };
    const closed = whyClosed(unsealing, checkHolds(kek, slot));
    if (closed !== null) throw new Refusal(closed);
    const privateKey = openSealed(unsealing);
    if (pubkeyOf(await loadCurve(forcedCurve(process.env)), privateKey) === sealed.pubkey) return privateKey;
    wipe(privateKey);
    throw new Refusal('key file is damaged: put it back from a backup');
  } finally {
    wipe(kek, unsealingKey);
  }
}

async function formOf({ format, keyPassphraseFile }: ExportOptions, logN: number): Promise<ExportForm> {
  if (format !== 'ncryptsec') return { form: format };
  const option = '--key-passphrase-file';
  const passphrase = await readSecretText("ncryptsec's own passphrase", keyPassphraseFile, { twice: true, option });
  return { form: format, passphrase, logN };
}

/** As bytes: the key never is a string, but in JSON. */
async function print({ name, pubkey }: SealedKey, key: Secret, isJson: boolean): Promise<void> {
  if (isJson) {
    const data = { name, npub: npubEncode(pubkey), pubkey, key: new TextDecoder().decode(key) };
    process.stdout.write(`${JSON.stringify(data, null, 2)}\n`);
    return;
  }
  const line = newSecret(key.length + 1);
  line.set(key);
  line[key.length] = 0x0a;
  await new Promise((written) => process.stdout.write(line, written));
  wipe(line);
}
