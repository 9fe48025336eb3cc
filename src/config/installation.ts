import { basename, dirname, join, resolve } from 'node:path';
import type { Outcome } from '../policy/protocol.ts';

/** Which installation a command works on. */
export interface Installation {
  configPath: string;
  /** Where database, keystore and lock lie unless the configuration says otherwise: the configuration file's folder. */
  data: string;
}

export interface InstallationNamed {
  /** --data */
  data?: string | undefined;
  /** --config */
  config?: string | undefined;
}

export const CONFIG_FILE = 'nsecbunker.json';

/** Flags win over REDOUBT_DATA and REDOUBT_CONFIG; without any it is config/nsecbunker.json, and ./data in a quickstart. */
export function findInstallation(
  flags: InstallationNamed,
  env: { readonly [name: string]: string | undefined },
  cwd: string,
  quickstart = false,
): Outcome<Installation> {
  const fromFlags = flags.data !== undefined || flags.config !== undefined;
  const data = fromFlags ? flags.data : env.REDOUBT_DATA || undefined;
  const config = fromFlags ? flags.config : env.REDOUBT_CONFIG || undefined;
  if (data !== undefined && config !== undefined) {
    const both = fromFlags ? '--data and --config' : 'REDOUBT_DATA and REDOUBT_CONFIG';
    return { ok: false, refusal: `${both} both name an installation: give one of them` };
  }
  if (data === '' || config === '')
    return { ok: false, refusal: 'an empty path names no installation: give a folder or a file' };
  if (config !== undefined) {
    const configPath = resolve(cwd, config);
    return { ok: true, value: { configPath, data: dirname(configPath) } };
  }
  const folder = resolve(cwd, data ?? (quickstart ? 'data' : 'config'));
  // A file given as the folder is the likely slip.
  if (basename(folder) === CONFIG_FILE)
    return { ok: false, refusal: `--data takes a folder: use --config for ${folder}` };
  return { ok: true, value: { configPath: join(folder, CONFIG_FILE), data: folder } };
}
