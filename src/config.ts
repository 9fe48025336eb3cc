import { resolve } from 'node:path';
import type * as z from 'zod';
import { databasePath } from '../prisma-compat/database-url.ts';
import { fromEnvironment, fromFile, fromFlags, type Layer } from './config/layers.ts';
import { missing } from './config/missing.ts';
import { optionAt } from './config/options.ts';
import { schema } from './config/schema.ts';
import type { ConfigSources } from './config/sources.ts';
import { at, merge } from './config/tree.ts';

/** The options in force: paths are absolute, defaults are filled in. */
export type Config = Omit<z.output<typeof schema>, 'database' | 'maxActiveKeys' | 'keystore'> & {
  database: string;
  maxActiveKeys: number;
  keystore: { dir: string; logN: number };
};

/** `refusal` is one line for the operator; the caller ends with exit code 78. */
export type ConfigResult =
  | { ok: true; config: Config; warnings: string[] }
  | { ok: false; refusal: string; errors: string[] };

/** What an active key takes, thread and all; docs/CONFIGURATION.md. */
const BYTES_PER_KEY = 12 * 1024 * 1024;
const DOCS = 'docs/CONFIGURATION.md lists every option';

/** As `readConfig`, and refuses what a daemon could not work with. */
export function readWholeConfig(sources: ConfigSources): ConfigResult {
  const read = readConfig(sources);
  if (!read.ok) return read;
  const { error, warning } = missing(read.config);
  if (error !== null) return refuse([error]);
  return warning === null ? read : { ...read, warnings: [...read.warnings, warning] };
}

/** Reads file, environment and flags, each checked by itself: flags win over environment, environment over file. */
export function readConfig(sources: ConfigSources): ConfigResult {
  const errors: string[] = [];
  const warnings: string[] = [];
  const written = fromFile(sources.file, errors, warnings);
  const env = fromEnvironment(sources.env, warnings);
  const flags = fromFlags(sources.flags, errors);

  // The last one that names an option wins.
  const layers: Layer[] = [
    { tree: written.tree, label: written.label },
    { tree: env, label: (path) => optionAt(path)?.env ?? path },
    { tree: flags, label: (path) => `flag for ${path}` },
  ];
  const sourceOf = (path: string) => layers.findLast(({ tree }) => at(tree, path) !== undefined)?.label(path) ?? path;
  for (const layer of layers) check(layer, errors);
  if (errors.length > 0) return refuse(errors);

  const merged = merge(merge(written.tree, env), flags);
  const { database, keystore, maxActiveKeys, ...rest } = schema.parse(merged);
  const file = databasePath(database ?? resolve(sources.data, 'nsecbunker.db'), sources.cwd);
  if (!file.ok) return refuse([`${sourceOf('database')}: ${file.refusal}`]);
  if (at(merged, 'embeddedRelay.listen') !== undefined && !rest.embeddedRelay.enabled) {
    warnings.push('embeddedRelay.listen is set, but embeddedRelay.enabled is not: there is no embedded relay');
  }
  const config: Config = {
    ...rest,
    adminRelays: rest.adminRelays.length > 0 ? rest.adminRelays : rest.relays,
    database: file.path,
    maxActiveKeys: maxActiveKeys ?? Math.max(1, Math.floor(sources.memory / 4 / BYTES_PER_KEY)),
    keystore: {
      ...keystore,
      dir: keystore.dir === null ? resolve(sources.data, 'keystore') : resolve(sources.cwd, keystore.dir),
    },
  };
  return { ok: true, config, warnings };
}

function refuse(errors: string[]): ConfigResult {
  return { ok: false, refusal: `${errors.join('; ')} (${DOCS})`, errors };
}

function check({ tree, label }: Layer, errors: string[]): void {
  for (const issue of schema.safeParse(tree).error?.issues ?? []) {
    const index = issue.path.findIndex((step) => typeof step === 'number');
    const path = (index < 0 ? issue.path : issue.path.slice(0, index)).join('.');
    const entry = index < 0 ? '' : ` entry ${Number(issue.path[index]) + 1}`;
    errors.push(`${label(path)}${entry}: ${issue.message.replace(/^Invalid \w+: |^Too \w+: /, '')}`);
  }
}
