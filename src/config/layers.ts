import { nearest } from './nearest.ts';
import { type Option, optionAt, options } from './options.ts';
import type { ConfigFile, ConfigSources } from './sources.ts';
import { at, isTree, merge, put, type Tree } from './tree.ts';

/** Variables of ours that are no options. */
const OTHER_VARIABLES = [
  'REDOUBT_DATA',
  'REDOUBT_CONFIG',
  'REDOUBT_AUTOUNLOCK_PASSPHRASES_FILE',
  'NSECBUNKER_AUTOUNLOCK_PASSPHRASE',
  'NSECBUNKER_AUTOUNLOCK_PASSPHRASE_FILE',
];

/** What one source says. */
export interface Layer {
  tree: Tree;
  /** Where in it an option was read. */
  label(path: string): string;
}

/** What nsecbunkerd's own properties say, and over it what is under `redoubt`. */
export function fromFile(file: ConfigFile, errors: string[], warnings: string[]): Layer {
  const written: Tree = {};
  if (file.adminPubkeys.length > 0) written.admins = file.adminPubkeys;
  if (file.adminRelays.length > 0) written.adminRelays = file.adminRelays;
  if (file.nostrRelays.length > 0) written.relays = file.nostrRelays;
  if (file.database !== null) written.database = file.database;
  const ours = ourProperty(file.redoubt, errors);
  warnUnknown(ours, '', warnings);
  const label = (path: string) => {
    const legacy = at(ours, path) === undefined ? optionAt(path)?.legacy : undefined;
    return `nsecbunker.json: ${legacy ?? `redoubt.${path}`}`;
  };
  return { tree: merge(written, ours), label };
}

function ourProperty(text: string, errors: string[]): Tree {
  try {
    const value: unknown = JSON.parse(text || '{}');
    if (isTree(value)) return value;
    errors.push('nsecbunker.json: redoubt: expected an object');
  } catch {
    errors.push('nsecbunker.json: redoubt: not valid JSON');
  }
  return {};
}

export function fromEnvironment(env: ConfigSources['env'], warnings: string[]): Tree {
  const tree: Tree = {};
  for (const option of options) {
    const text = env[option.env];
    // Compose files and units set empty variables for what is left out.
    if (text !== undefined && text.trim() !== '') put(tree, option.path, parse(option, text));
  }
  const known = [...options.map((option) => option.env), ...OTHER_VARIABLES];
  for (const name of Object.keys(env)) {
    if (!/^(REDOUBT|NSECBUNKER_AUTOUNLOCK)_/.test(name) || known.includes(name)) continue;
    warnings.push(`environment: ${name} is unknown and not looked at; the nearest is ${nearest(name, known)}`);
  }
  return tree;
}

export function fromFlags(flags: ConfigSources['flags'], errors: string[]): Tree {
  const tree: Tree = {};
  for (const [path, text] of Object.entries(flags)) {
    if (text === undefined) continue;
    const option = optionAt(path);
    if (option !== undefined) put(tree, path, parse(option, text));
    else
      errors.push(
        `flag for ${path}: no such option; the nearest is ${nearest(
          path,
          options.map((each) => each.path),
        )}`,
      );
  }
  return tree;
}

/** Text as the option's own type; what cannot be read stays text, and the schema says what it should be. */
function parse({ form }: Option, text: string): unknown {
  const trimmed = text.trim();
  const number = (part: string) => (/^-?\d+(\.\d+)?$/.test(part) ? Number(part) : part);
  const parts = () =>
    trimmed
      .split(',')
      .map((part) => part.trim())
      .filter(Boolean);
  switch (form) {
    case 'number':
      return number(trimmed);
    case 'boolean':
      if (/^(true|yes|on|1)$/i.test(trimmed)) return true;
      return /^(false|no|off|0)$/i.test(trimmed) ? false : trimmed;
    case 'list':
      return parts();
    case 'numbers':
      return parts().map(number);
    case 'text':
      return trimmed;
    default:
      return form satisfies never;
  }
}

function warnUnknown(tree: Tree, prefix: string, warnings: string[]): void {
  const groups = new Set(options.flatMap(({ path }) => (path.includes('.') ? [path.split('.')[0] as string] : [])));
  for (const [key, value] of Object.entries(tree)) {
    const path = `${prefix}${key}`;
    if (groups.has(path)) {
      // What is no group where one belongs, the schema tells.
      if (isTree(value)) warnUnknown(value, `${path}.`, warnings);
    } else if (optionAt(path) === undefined) {
      const known = [...options.map((option) => option.path), ...groups];
      warnings.push(
        `nsecbunker.json: redoubt.${path} is unknown and not looked at; the nearest is ${nearest(path, known)}`,
      );
    }
  }
}
