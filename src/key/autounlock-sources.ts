import { openSync } from 'node:fs';
import { resolve } from 'node:path';
import type { AutounlockSources } from '../keystore/protocol.ts';

const LITERAL = 'NSECBUNKER_AUTOUNLOCK_PASSPHRASE';
/** The environment that this process was started with: what happens to `process.env` later does not change it. */
const ENVIRONMENT = '/proc/self/environ';

/**
 * What the environment says of autounlock. A passphrase in it is taken out of `process.env` unread, and what an
 * unlocker will read it from, as bytes, is opened while it still can be: a process that made itself undumpable may not
 * open it any more. To be called before anything else looks at `env`.
 */
export function takeAutounlockSources(env: NodeJS.ProcessEnv, cwd: string): AutounlockSources {
  const isGiven = LITERAL in env;
  delete env[LITERAL];
  return {
    environment: isGiven ? openEnvironment() : null,
    file: path(env.NSECBUNKER_AUTOUNLOCK_PASSPHRASE_FILE, cwd),
    passphrases: path(env.REDOUBT_AUTOUNLOCK_PASSPHRASES_FILE, cwd),
  };
}

function openEnvironment(): number {
  try {
    return openSync(ENVIRONMENT, 'r');
  } catch {
    return -1;
  }
}

/** An empty variable counts as not set. */
function path(value: string | undefined, cwd: string): string | null {
  return value === undefined || value === '' ? null : resolve(cwd, value);
}
