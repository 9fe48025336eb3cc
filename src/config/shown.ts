import type { Config } from '../config.ts';
import { fromEnvironment, fromFile, fromFlags } from './layers.ts';
import { type Option, options } from './options.ts';
import type { ConfigSources } from './sources.ts';
import { at, isTree, type Tree } from './tree.ts';

/** One option as it is in force, fit to be shown. */
export interface ShownOption {
  path: string;
  /** Secrets, and queries of relay URLs, where paid relays put what opens them, are left out. */
  value: unknown;
  /** Where it was written: `nsecbunker.json: nostr.relays`, `environment: REDOUBT_CURVE`, `start --quickstart`, `default`. */
  source: string;
}

const HIDDEN = '[redacted]';

/** Every option of a configuration that was read from these sources, whose flags are what a quickstart sets. */
export function shownOptions(sources: ConfigSources, config: Config): ShownOption[] {
  const file = fromFile(sources.file, [], []);
  const env = fromEnvironment(sources.env, []);
  const flags = fromFlags(sources.flags, []);
  const source = ({ path, env: variable }: Option): string => {
    if (at(flags, path) !== undefined) return 'start --quickstart';
    if (at(env, path) !== undefined) return `environment: ${variable}`;
    return at(file.tree, path) === undefined ? 'default' : file.label(path);
  };
  return options.map((option) => {
    const value = at(config as unknown as Tree, option.path);
    return { path: option.path, value: redacted(option, value), source: source(option) };
  });
}

function redacted({ secret }: Option, value: unknown): unknown {
  if (secret) return value === null ? null : HIDDEN;
  if (isTree(value) && 'port' in value) return `${value.host}:${value.port}`;
  if (Array.isArray(value)) return value.map((entry) => (typeof entry === 'string' ? withoutQuery(entry) : entry));
  return value;
}

function withoutQuery(text: string): string {
  return /^wss?:/.test(text) ? text.replace(/\?.*$/, `?${HIDDEN}`) : text;
}
