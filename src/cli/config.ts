import { totalmem } from 'node:os';
import { Command } from 'commander';
import { wipe } from '../actor/protocol.ts';
import { readConfigFile } from '../admin/config-file.ts';
import { shownOptions } from '../config/shown.ts';
import type { ConfigSources } from '../config/sources.ts';
import { type Config, readWholeConfig } from '../config.ts';
import { forcedCurve } from '../curve/forced.ts';
import { loadCurve } from '../curve/load.ts';
import { takeAutounlockSources } from '../key/autounlock-sources.ts';
import { inspectAutounlock } from '../keystore/autounlock.ts';
import { whichInstallation } from './admin-access.ts';
import { type InstallationOptions, installationCommand } from './installation-command.ts';
import { say, show, table } from './output.ts';
import { EXIT, Refusal } from './refusal.ts';

type Checked =
  | { ok: true; file: string; sources: ConfigSources; config: Config; warnings: string[] }
  | { ok: false; file: string; errors: string[] };

/** `redoubt config ...`: the configuration as a daemon that is started now, from this environment, would have it. */
export function configCommand(): Command {
  const config = new Command('config').description('the configuration that a start would find');
  config.addCommand(
    installationCommand('check', 'whether a daemon would start with it; exit code 78 when not')
      .option('--json', 'print one JSON document')
      .action(checkConfig),
  );
  config.addCommand(
    installationCommand('show', 'every option, and where it was written; no secrets')
      .option('--json', 'print one JSON document')
      .action(showConfig),
  );
  return config;
}

async function checkConfig(options: InstallationOptions): Promise<void> {
  const checked = withAutounlock(withPlainStart(await check(options)));
  const { ok, file } = checked;
  if (options.json) {
    const errors = ok ? [] : checked.errors;
    show({ data: { ok, file, errors, warnings: ok ? checked.warnings : [] }, text: '' }, true);
    if (!ok) process.exitCode = EXIT.configuration;
    return;
  }
  if (!ok) throw refusal(checked.errors);
  for (const warning of checked.warnings) say(`redoubt: warning: ${warning}`);
  show({ data: null, text: `${file}: good` }, false);
}

async function showConfig(options: InstallationOptions): Promise<void> {
  const checked = await check(options);
  if (!checked.ok) throw refusal(checked.errors);
  const { file, sources, config, warnings } = checked;
  const shown = shownOptions(sources, config);
  for (const warning of warnings) say(`redoubt: warning: ${warning}`);
  const rows = shown.map(({ path, value, source }) => [path, JSON.stringify(value), source]);
  const text = `${file}\n\n${table(['OPTION', 'VALUE', 'FROM'], rows, '')}`;
  show({ data: { file, options: shown, warnings }, text }, options.json);
}

async function check(options: InstallationOptions): Promise<Checked> {
  const { configPath: file, data } = whichInstallation(options, process.env, process.cwd());
  const read = readConfigFile(file);
  if (!read.ok) return { ok: false, file, errors: [read.refusal] };
  const errors: string[] = [];
  try {
    (await loadCurve(forcedCurve(process.env))).openKey(read.adminKey).wipe();
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    errors.push(`${file}: admin.key is not a private key: it must be 64 hex digits of one, or an nsec`);
  } finally {
    wipe(read.adminKey);
  }
  const sources: ConfigSources = {
    file: read.config,
    env: process.env,
    // As the quickstart that made the file would have it.
    flags: read.quickstart ? { 'embeddedRelay.enabled': 'true' } : {},
    data,
    cwd: process.cwd(),
    memory: totalmem(),
  };
  const found = readWholeConfig(sources);
  if (!found.ok) errors.push(...found.errors);
  if (!found.ok || errors.length > 0) return { ok: false, file, errors };
  const { config, warnings } = found;
  return { ok: true, file, sources, config, warnings: [...read.config.warnings, ...warnings] };
}

/** What a quickstart has made was looked at as a quickstart has it; a start without the flag may refuse it. */
function withPlainStart(checked: Checked): Checked {
  if (!checked.ok) return checked;
  const plain = readWholeConfig({ ...checked.sources, flags: {} });
  if (plain.ok) return checked;
  const warning = `only "redoubt start --quickstart" starts with it; without: ${plain.errors.join('; ')}`;
  return { ...checked, warnings: [...checked.warnings, warning] };
}

/** What is to unlock keys at start is looked at too: a start ends on it. */
function withAutounlock(checked: Checked): Checked {
  const autounlock = inspectAutounlock(takeAutounlockSources(process.env, process.cwd()));
  const { file } = checked;
  if (!autounlock.ok) return { ok: false, file, errors: [...(checked.ok ? [] : checked.errors), autounlock.refusal] };
  return checked.ok ? { ...checked, warnings: [...checked.warnings, ...autounlock.warnings] } : checked;
}

/** All that is wrong, a line each. */
function refusal(errors: string[]): Refusal {
  return new Refusal(errors.join('\nredoubt: '), EXIT.configuration);
}
