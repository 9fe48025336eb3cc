import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { Manifest } from '../maintenance/archive/manifest.ts';
import type { BackedUp } from '../maintenance/backup.ts';
import { whichInstallation } from './admin-access.ts';
import { type InstallationOptions, installationCommand } from './installation-command.ts';
import { offlineInstallation } from './offline-installation.ts';
import { say, show } from './output.ts';
import { EXIT, Refusal } from './refusal.ts';
import { readSecretText } from './secret-text.ts';

interface BackupOptions extends InstallationOptions {
  plain?: boolean;
  passphraseFile?: string;
  dryRun?: boolean;
}

/** `redoubt backup FILE` */
export function backupCommand(): Command {
  return installationCommand('backup', 'database, keystore and configuration in one file, while the daemon runs')
    .argument('<file>', 'the archive to be made')
    .option('--plain', 'do not encrypt it')
    .option('--passphrase-file <file>', 'what to encrypt it under (- is standard input); else it is asked for')
    .option('--dry-run', 'only say what it would hold')
    .option('--json', 'print one JSON document')
    .action(run);
}

async function run(file: string, options: BackupOptions): Promise<void> {
  if (options.plain === true && options.passphraseFile !== undefined) {
    throw new Refusal('--plain and --passphrase-file do not go together', EXIT.usage);
  }
  const installation = whichInstallation(options, process.env, process.cwd());
  const { config, legacyKeys, isQuickstart } = await offlineInstallation(installation);
  const dryRun = options.dryRun === true;
  const plain = options.plain === true || dryRun;
  const path = resolve(file);
  // What they need is loaded when it is wanted.
  const [{ backUp }, { systemClock }, { pooledRandom }, { Progress }] = await Promise.all([
    import('../maintenance/backup.ts'),
    import('../actor/clock.ts'),
    import('../curve/random.ts'),
    import('./progress.ts'),
  ]);
  const random = pooledRandom();
  const progress = {
    copy: new Progress('copying the database (pages)'),
    write: new Progress('writing (bytes)'),
    check: new Progress('checking (bytes)'),
  };
  const made = await backUp({
    source: { ...installation, database: config.database, keystore: config.keystore.dir, legacyKeys, isQuickstart },
    file: path,
    sealing: plain ? null : await sealing(options, config.keystore.logN, random),
    dryRun,
    now: () => systemClock.now(),
    random,
    sleep: (ms) => new Promise((done) => setTimeout(done, ms)),
    onFound: (manifest) => say(foundText(installation.configPath, manifest)),
    onProgress: (what, done, of) => progress[what].update(done, of),
  });
  for (const one of Object.values(progress)) one.stop();
  if (!made.ok) throw new Refusal(made.refusal);
  const { manifest, warnings } = made.value;
  for (const warning of warnings) say(`redoubt: ${warning}`);
  if (plain && !dryRun) say('redoubt: the archive is not encrypted: whoever reads it administrates this daemon');
  show(
    {
      data: report(path, made.value, { dryRun, plain: options.plain === true }),
      text: doneText(path, manifest, dryRun),
    },
    options.json,
  );
  // The archive is made, and is the best there is; a script that makes it must not take it for a whole one.
  if (warnings.length > 0) process.exitCode = EXIT.failed;
}

async function sealing(options: BackupOptions, logN: number, random: (size: number) => Uint8Array) {
  const [{ sealedHeader }, { wipe }] = await Promise.all([
    import('../maintenance/archive/header.ts'),
    import('../actor/protocol.ts'),
  ]);
  const asked = { twice: true, option: '--passphrase-file' };
  const passphrase = await readSecretText('passphrase of the backup', options.passphraseFile, asked);
  try {
    return sealedHeader(passphrase, logN, random);
  } finally {
    wipe(passphrase);
  }
}

function report(file: string, { manifest, warnings }: BackedUp, how: { dryRun: boolean; plain: boolean }) {
  const { createdAt, counts, entries } = manifest;
  return {
    file,
    dry_run: how.dryRun,
    encrypted: !how.plain,
    created_at: new Date(createdAt).toISOString(),
    keys: counts.keys,
    pairings: counts.pairings,
    audit_rows: counts.auditRows,
    files: entries.map(({ path, size }) => ({ path, size })),
    warnings,
  };
}

function foundText(configPath: string, { counts, entries }: Manifest): string {
  const bytes = entries.reduce((sum, { size }) => sum + size, 0);
  const { keys, pairings, auditRows } = counts;
  return `${configPath}: ${keys} keys, ${pairings} pairings, ${auditRows} audit rows; ${entries.length} files, ${bytes} bytes`;
}

function doneText(file: string, { createdAt }: Manifest, dryRun: boolean): string {
  if (dryRun) return 'nothing was written';
  return `${file}: made and read back; the database in it is of ${new Date(createdAt).toISOString()}`;
}
