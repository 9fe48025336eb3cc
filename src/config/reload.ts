import { isDeepStrictEqual } from 'node:util';
import type { Config } from '../config.ts';
import { options } from './options.ts';
import { at, put, type Tree } from './tree.ts';

/** What became of a configuration that was read again. */
export interface Reload {
  /** In force from now on. */
  config: Config;
  /** Options that have changed. */
  changed: string[];
  /** Options that were changed in the file and stay what they were until the next start. */
  needRestart: string[];
}

/** Takes over what can change while the daemon runs (docs/CONFIGURATION.md). */
export function reload(now: Config, read: Config): Reload {
  const config = structuredClone(now);
  const differ = options.filter(({ path }) => !isDeepStrictEqual(valueAt(now, path), valueAt(read, path)));
  for (const { path, live } of differ) if (live) put(config as unknown as Tree, path, valueAt(read, path));
  return {
    config,
    changed: differ.filter(({ live }) => live).map(({ path }) => path),
    needRestart: differ.filter(({ live }) => !live).map(({ path }) => path),
  };
}

function valueAt(config: Config, path: string): unknown {
  return at(config as unknown as Tree, path);
}
