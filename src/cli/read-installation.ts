import { totalmem } from 'node:os';
import type { Secret } from '../actor/protocol.ts';
import { wipe } from '../actor/protocol.ts';
import { readConfigFile } from '../admin/config-file.ts';
import type { RedactedConfig } from '../admin/protocol.ts';
import type { Installation } from '../config/installation.ts';
import { type Config, readConfig } from '../config.ts';
import { EXIT, Refusal } from './refusal.ts';

/** What the daemon would run with, for a command on its files. `adminKey` is the caller's to wipe. @throws Refusal */
export function readInstallation({ configPath, data }: Installation): {
  config: Config;
  file: RedactedConfig;
  adminKey: Secret;
  warnings: string[];
  isQuickstart: boolean;
} {
  const file = readConfigFile(configPath);
  if (!file.ok) throw new Refusal(file.refusal, EXIT.configuration);
  const sources = { file: file.config, env: process.env, flags: {}, data, cwd: process.cwd(), memory: totalmem() };
  const read = readConfig(sources);
  if (read.ok) {
    const warnings = [...file.config.warnings, ...read.warnings];
    return { config: read.config, file: file.config, adminKey: file.adminKey, warnings, isQuickstart: file.quickstart };
  }
  wipe(file.adminKey);
  throw new Refusal(read.refusal, EXIT.configuration);
}
