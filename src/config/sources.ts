import type { RedactedConfig } from '../admin/protocol.ts';

/** What options are read from, of nsecbunker.json without its secrets. */
export type ConfigFile = Pick<RedactedConfig, 'adminPubkeys' | 'adminRelays' | 'nostrRelays' | 'database' | 'redoubt'>;

export interface ConfigSources {
  file: ConfigFile;
  env: { readonly [name: string]: string | undefined };
  /** By the option's path: `{ 'http.listen': '127.0.0.1:0' }`. */
  flags: { readonly [path: string]: string | undefined };
  /** The installation's folder. */
  data: string;
  cwd: string;
  /** Bytes of the machine. */
  memory: number;
}
