import { join, resolve } from 'node:path';
import type { Secret } from '../actor/protocol.ts';
import { wipe } from '../actor/protocol.ts';
import { readConnectionString } from '../admin/connection-string.ts';
import { CONFIG_FILE, findInstallation, type Installation } from '../config/installation.ts';
import { isMissing } from '../is-missing.ts';
import { parseImport, wipeImport } from '../keystore/import.ts';
import { type BoundedRead, readBounded } from '../keystore/read-bounded.ts';
import { EXIT, Refusal } from './refusal.ts';

/** Which installation, and with which key; as the options of every command on a running daemon have it. */
export interface AccessOptions {
  data?: string;
  config?: string;
  adminKeyFile?: string;
}

/** What the admin RPC needs to know. */
export interface AdminAccess {
  /** hex */
  daemonPubkey: string;
  relays: string[];
  adminKeyFile: string;
}

/** Bytes of connection.txt. */
const MAX_CONNECTION = 1_048_576;

type Environment = { readonly [name: string]: string | undefined };

/**
 * The installation that a command means: what the flags or the environment name, else config/, which is what `start`
 * runs on. Only where nothing is configured there, and a quickstart has made ./data, it is that one.
 *
 * @throws Refusal
 */
export function whichInstallation(options: AccessOptions, env: Environment, cwd: string): Installation {
  const isThere = (folder: string) => !isMissing(resolve(cwd, folder, CONFIG_FILE));
  const found = findInstallation(options, env, cwd, !isThere('config') && isThere('data'));
  if (!found.ok) throw new Refusal(found.refusal, EXIT.usage);
  return found.value;
}

/** Where a daemon is reached and as whom. @throws Refusal */
export function adminAccess(options: AccessOptions, env: Environment, cwd: string): AdminAccess {
  const { data } = whichInstallation(options, env, cwd);
  const { pubkey: daemonPubkey, relays } = readConnection(data);
  const beside = join(data, 'admin.nsec');
  const adminKeyFile = options.adminKeyFile ?? (isMissing(beside) ? undefined : beside);
  if (adminKeyFile !== undefined) return { daemonPubkey, relays, adminKeyFile: resolve(cwd, adminKeyFile) };
  throw new Refusal(`no admin key: give --admin-key-file FILE, with the nsec of one of the admins`, EXIT.configuration);
}

/** The admin's private key, for the caller to wipe. @throws Refusal */
export function readAdminKey(path: string): Secret {
  const read = readBounded(path, 4096);
  if (!read.ok) {
    throw new Refusal(`the admin key file ${path} ${whyNot(read)}: give another --admin-key-file`, EXIT.configuration);
  }
  const imported = parseImport(read.bytes);
  wipe(read.bytes);
  if (imported.ok && imported.form === 'plain') return imported.privateKey;
  wipeImport(imported);
  throw new Refusal(`the admin key file ${path} holds neither an nsec nor 64 hex digits`, EXIT.configuration);
}

/** What the last start has written, whichever way it was started. @throws Refusal */
function readConnection(data: string): { pubkey: string; relays: string[] } {
  const path = join(data, 'connection.txt');
  const read = readBounded(path, MAX_CONNECTION);
  if (!read.ok && read.why === 'missing') {
    throw new Refusal(
      `no daemon was ever started on ${data} (connection.txt is not there): ` +
        'start one with "redoubt start", or name another installation with --data or --config',
      EXIT.configuration,
    );
  }
  if (!read.ok) throw new Refusal(`${path} ${whyNot(read)}: see to its owner and mode`, EXIT.configuration);
  const connection = readConnectionString(new TextDecoder().decode(read.bytes));
  if (connection !== null) return connection;
  throw new Refusal(`${path} is damaged: start the daemon again, which writes it anew`, EXIT.configuration);
}

/** To be said after the file's name. */
function whyNot({ why, code }: Extract<BoundedRead, { ok: false }>): string {
  if (why === 'missing') return 'does not exist';
  return why === 'unreadable' ? `cannot be read (${code})` : `is ${why}`;
}
