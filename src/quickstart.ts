import { renameSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { QuickstartMade } from './admin/protocol.ts';
import { qrText } from './cli/qr.ts';
import { isMissing } from './is-missing.ts';

const CONFIG = 'config/nsecbunker.json';
/** What points it at a configuration, or has it listen or be reached elsewhere than it says. */
const VARIABLES = ['ADMIN_NPUBS', 'DATABASE_URL', 'REDOUBT_HTTP_LISTEN', 'REDOUBT_RELAY_LISTEN', 'REDOUBT_RELAYS'];

/** Names what a quickstart must not run beside: it would come up as a second signer that nobody meant. */
export function besideConfiguration(
  options: { config?: string },
  env: { readonly [name: string]: string | undefined },
  cwd: string,
): string | null {
  const beside =
    options.config !== undefined
      ? '--config'
      : (VARIABLES.find((name) => env[name]) ?? (isMissing(resolve(cwd, CONFIG)) ? undefined : CONFIG));
  if (beside === undefined) return null;
  return `the quickstart does not run beside a configuration (${beside}): use \`redoubt start\`, or another folder`;
}

/** quickstart.json: what a program needs to pair with the demonstration key and to administrate the daemon. */
export interface QuickstartFile {
  /** null only when no token could be made. */
  bunker_url: string | null;
  relay: string;
  health_url: string | null;
  /** hex; the admin RPC is addressed to it */
  daemon_pubkey: string;
  connection_string: string;
  admin_npub: string;
  admin_nsec_file: string;
  data: string;
}

/** Written last, when everything it names is there; a reader never sees half of it. */
export function writeQuickstart(file: QuickstartFile): void {
  const path = join(file.data, 'quickstart.json');
  writeFileSync(`${path}.new`, `${JSON.stringify(file, null, 2)}\n`, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

/** What the person at the terminal reads. */
export async function quickstartText(
  file: QuickstartFile,
  made: Extract<QuickstartMade, { ok: true }>,
): Promise<string> {
  const lines = ['', `Redoubt is ready. Data: ${file.data}`, ''];
  if (made.bunkerUrl === null) lines.push(`No bunker URL could be made for the key ${made.keyName}.`);
  else if (made.redeemed) {
    lines.push(
      `The key "${made.keyName}" is paired already. For another client:`,
      `  npm run -s redoubt -- token create ${made.keyName} --policy demo`,
    );
  } else {
    lines.push(
      `Paste this into a NIP-46 client within the hour; it is good for one client:`,
      '',
      `  ${made.bunkerUrl}`,
      '',
      await qrText(made.bunkerUrl),
    );
  }
  lines.push(
    `relay         ${file.relay}`,
    ...(file.health_url === null ? [] : [`health        ${file.health_url}`]),
    `admin key     ${file.admin_nsec_file}`,
    `passphrase    ${made.passphraseFile} (of the key "${made.keyName}": whoever reads it can use the key)`,
    '',
    'Ctrl-C stops it.',
    '',
  );
  return lines.join('\n');
}
