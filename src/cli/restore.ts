import { mkdirSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { ChunkReader } from '../maintenance/archive/chunks.ts';
import type { Manifest } from '../maintenance/archive/manifest.ts';
import type { Restored } from '../maintenance/restore.ts';
import { whichInstallation } from './admin-access.ts';
import { type InstallationOptions, installationCommand } from './installation-command.ts';
import { cell, say, show } from './output.ts';
import { Refusal } from './refusal.ts';
import { restoreTarget } from './restore-target.ts';
import { readSecretText } from './secret-text.ts';

interface RestoreOptions extends InstallationOptions {
  force?: boolean;
  passphraseFile?: string;
  dryRun?: boolean;
}

/** `redoubt restore FILE` */
export function restoreCommand(): Command {
  return installationCommand('restore', 'put back what a backup holds; the daemon must be stopped')
    .argument('<file>', 'the archive')
    .option('--force', 'replace the installation that is there, and keep it under another name')
    .option('--passphrase-file <file>', 'the passphrase of the archive (- is standard input); else it is asked for')
    .option('--dry-run', 'verify the archive and say what would be done')
    .option('--json', 'print one JSON document')
    .action(run);
}

async function run(file: string, options: RestoreOptions): Promise<void> {
  const installation = whichInstallation(options, process.env, process.cwd());
  const { data } = installation;
  const dryRun = options.dryRun === true;
  // What they need is loaded when it is wanted.
  const [{ restore }, { lockHolder, takeLock }, { systemClock }, { pooledRandom }, { Progress }] = await Promise.all([
    import('../maintenance/restore.ts'),
    import('../lock.ts'),
    import('../actor/clock.ts'),
    import('../curve/random.ts'),
    import('./progress.ts'),
  ]);
  // Told before anybody types a passphrase for it.
  const holder = lockHolder(data);
  if (holder !== null) throw new Refusal(`redoubt (process ${holder}) runs on ${data}: stop it first`);
  const reader = await open(resolve(file), options);
  if (!dryRun) makeFolder(data);
  const lock = dryRun ? null : takeLock(data);
  if (lock !== null && !lock.ok) throw new Refusal(lock.refusal);
  const progress = new Progress('verifying (bytes)');
  try {
    const restored = await restore({
      reader,
      data,
      locate: (staged) => restoreTarget(staged, installation),
      force: options.force === true,
      dryRun,
      now: systemClock.now(),
      random: pooledRandom(),
      onFound: (manifest) => say(foundText(manifest)),
      onProgress: (done, of) => progress.update(done, of),
    });
    progress.stop();
    if (!restored.ok) throw new Refusal(restored.refusal);
    for (const warning of restored.value.warnings) say(`redoubt: ${warning}`);
    show({ data: report(restored.value, dryRun), text: doneText(restored.value, dryRun) }, options.json);
  } finally {
    progress.stop();
    reader.close();
    if (lock?.ok === true) lock.release();
  }
}

/** The archive, ready to be read. @throws Refusal */
async function open(path: string, options: RestoreOptions): Promise<ChunkReader> {
  const [{ ChunkReader }, { Unfit }, { wipe }] = await Promise.all([
    import('../maintenance/archive/chunks.ts'),
    import('../maintenance/archive/unfit.ts'),
    import('../actor/protocol.ts'),
  ]);
  let reader: ChunkReader;
  try {
    reader = new ChunkReader(path);
  } catch (error) {
    if (error instanceof Unfit) throw new Refusal(`${path} ${error.message}`);
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    throw new Refusal(`${path} cannot be read (${code})`);
  }
  if (reader.header.form === 'plain') return reader;
  try {
    const asked = { option: '--passphrase-file' };
    const passphrase = await readSecretText('passphrase of the backup', options.passphraseFile, asked);
    const sealing = reader.header.unseal(passphrase);
    wipe(passphrase);
    if (sealing === null) throw new Refusal(`${path}: wrong passphrase (or its first bytes are damaged)`);
    reader.useSealing(sealing);
    return reader;
  } catch (error) {
    reader.close();
    throw error;
  }
}

function makeFolder(data: string): void {
  try {
    mkdirSync(data, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new Refusal(`the folder ${data} cannot be made (${(error as NodeJS.ErrnoException).code})`);
  }
}

function report(restored: Restored, dryRun: boolean) {
  const { manifest, target, replaced, wouldReplace, warnings, lostPairings } = restored;
  return {
    dry_run: dryRun,
    created_at: new Date(manifest.createdAt).toISOString(),
    restored: { config: target.configPath, database: target.database, keystore: target.keystore },
    keys: manifest.counts.keys,
    pairings: manifest.counts.pairings,
    audit_rows: manifest.counts.auditRows,
    kept: replaced,
    would_replace: wouldReplace,
    voided_tokens: restored.voidedTokens,
    revoked_since: since(restored),
    purged_since: restored.purged,
    pairings_since: lostPairings,
    warnings,
  };
}

function since({ clients, tokens, policies, rules, conditions, deniedClients, keys, locks }: Restored) {
  return { clients, tokens, policies, rules, conditions, denied_clients: deniedClients, keys, locks };
}

function foundText({ createdAt, counts, entries, redoubt }: Manifest): string {
  const { keys, pairings, auditRows } = counts;
  return (
    `made ${new Date(createdAt).toISOString()} by Redoubt ${redoubt}: ` +
    `${keys} keys, ${pairings} pairings, ${auditRows} audit rows, ${entries.length} files`
  );
}

function doneText(restored: Restored, dryRun: boolean): string {
  const { target, replaced, wouldReplace, voidedTokens, purged, lostPairings } = restored;
  const ended = Object.entries(since(restored)).filter(([, count]) => count > 0);
  const lines = [
    `${dryRun ? 'verified; would be restored' : 'restored'}: ${target.configPath}, ${target.database}, ${target.keystore}`,
    ...wouldReplace.map((path) => `would be replaced, and kept under another name: ${path}`),
    ...replaced.map(({ is }) => `kept: ${is}`),
    `tokens that nobody had redeemed, void now: ${voidedTokens}`,
    `ended since the backup, and ended now: ${ended.map(([what, count]) => `${count} ${what.replace('_', ' ')}`).join(', ') || 'nothing'}`,
    ...purged.map((what) => `removed for good since the backup, and ended now: ${cell(what)}`),
    ...lostPairings.map((pairing) => `paired since the backup, to be paired again: ${cell(pairing)}`),
  ];
  return lines.join('\n');
}
