import type { Command } from 'commander';
import { type Secret, wipe } from '../actor/protocol.ts';
import { secretJson } from '../admin/secret-json.ts';
import { parseDuration } from './duration.ts';
import { callList } from './listed.ts';
import { cell, show } from './output.ts';
import { qrText } from './qr.ts';
import { DERIVATION_MS, type RemoteOptions, remoteCommand, withDaemon } from './remote.ts';
import { readSecretText } from './secret-text.ts';

interface PairOptions extends RemoteOptions {
  policy: string;
  client?: string;
  expires?: string;
  relay: string[];
  revokeOld?: boolean;
  qr?: boolean;
  passphraseFile?: string;
}

interface Paired {
  npub: string;
  token_id: number;
  bunker_url: string;
  seed_url: string;
  expires_at: string | null;
}

/** `redoubt pair` */
export function pairCommand(): Command {
  return remoteCommand(
    'pair',
    'give a machine an identity, or pair it anew: key, policy, token and seed URL in one step',
  )
    .argument('<key>', 'name of the key; it is made when there is none')
    .option('--policy <name>', 'what the machine may do', 'spirekeeper-spire')
    .option('--client <name>', "what to call the machine; else the key's name")
    .option('--expires <duration>', 'how long it grants anything: 30d, 12h, ...; for ever when left out')
    .option('--relay <url>', "relay for the machine, in place of the daemon's; once for each", collect, [])
    .option('--revoke-old', "end the key's other clients and its open invitations")
    .option('--qr', 'draw the seed URL as a QR code, on what is no terminal too')
    .option('--passphrase-file <file>', 'of a new key (- is standard input); else it is asked for')
    .action(pair);
}

async function pair(key: string, options: PairOptions): Promise<void> {
  const request = {
    key,
    client_name: options.client ?? key,
    policy: options.policy,
    ...(options.relay.length === 0 ? {} : { relays: options.relay }),
    ...(options.expires === undefined ? {} : { expires_in_hours: parseDuration(options.expires, '--expires') }),
    ...(options.revokeOld === true ? { revoke_old: true } : {}),
  };
  const keys = await withDaemon(options, (call) => callList<{ name: string }>(call, 'get_keys'));
  const passphrase = keys.some(({ name }) => name === key) ? undefined : await passphraseOf(options);
  const text = secretJson(request, passphrase === undefined ? {} : { passphrase });
  try {
    await tell(key, await withDaemon(options, (call) => call('pair', [text], DERIVATION_MS)), options);
  } finally {
    wipe(text, passphrase);
  }
}

async function tell(key: string, result: string, { json, qr }: PairOptions): Promise<void> {
  const paired = JSON.parse(result) as Paired;
  const { npub, token_id: id, bunker_url: url, seed_url: seed, expires_at: end } = paired;
  const code = json !== true && (qr === true || process.stdout.isTTY) ? [await qrText(seed)] : [];
  const until = end === null ? 'without end' : `until ${end}`;
  const lines = [`${cell(key)}  ${npub}`, `token ${id}, good for one machine, ${until}:`, url, seed, ...code];
  show({ data: paired, text: lines.join('\n') }, json);
}

function passphraseOf({ passphraseFile }: PairOptions): Promise<Secret> {
  return readSecretText('passphrase', passphraseFile, { twice: true, option: '--passphrase-file' });
}

function collect(relay: string, relays: string[]): string[] {
  return [...relays, relay];
}
