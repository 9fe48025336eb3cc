import { Command } from 'commander';
import { parseDuration } from './duration.ts';
import { findPolicy } from './find-policy.ts';
import { callList } from './listed.ts';
import { show, table } from './output.ts';
import { qrText } from './qr.ts';
import { type RemoteOptions, remoteCommand, withDaemon } from './remote.ts';
import { rowNumber } from './row-number.ts';

/** `redoubt token ...` */
export function tokenCommand(): Command {
  const token = new Command('token').description('one-time invitations to use a key');
  token.addCommand(
    remoteCommand('create', 'make a bunker URL for one client')
      .argument('<key>', 'name of the key')
      .requiredOption('--policy <name>', 'what the client may do; the name of a policy, or its number')
      .option('--client <name>', 'what to call the client', 'client')
      .option('--expires <duration>', 'how long it grants anything: 30d, 12h, ...; for ever when left out')
      .option('--qr', 'draw the URL as a QR code, on what is no terminal too')
      .action(create),
  );
  token.addCommand(remoteCommand('list', "list a key's tokens").argument('<key>', 'name of the key').action(list));
  token.addCommand(
    remoteCommand('revoke', 'make a token void, and what it granted')
      .argument('<id>', 'its number in "redoubt token list"')
      .action(revoke),
  );
  return token;
}

interface ListedToken {
  id: number;
  client_name: string;
  token: string;
  policy_id: number | null;
  policy_name: string | null;
  expires_at: string | null;
  redeemed_at: string | null;
  revoked_at?: string | null;
  bunker_url?: string;
}

async function create(
  key: string,
  options: RemoteOptions & { policy: string; client: string; expires?: string; qr?: boolean },
): Promise<void> {
  const hours = options.expires === undefined ? undefined : parseDuration(options.expires, '--expires');
  const made = await withDaemon(options, async (call) => {
    const policy = await findPolicy(call, options.policy);
    const request = {
      key,
      client_name: options.client,
      policy_id: policy.id,
      ...(hours === undefined ? {} : { expires_in_hours: hours }),
    };
    return JSON.parse(await call('issue_token', [JSON.stringify(request)])) as ListedToken;
  });
  const { id, token, bunker_url: url = '', expires_at } = made;
  const drawn = options.json !== true && (options.qr === true || process.stdout.isTTY);
  const qr = drawn ? [await qrText(url)] : [];
  const until = expires_at === null ? 'without end' : `until ${expires_at}`;
  const text = [`token ${id}, good for one client, ${until}:`, url, ...qr].join('\n');
  show({ data: { id, token, bunker_url: url, expires_at }, text }, options.json);
}

async function list(key: string, options: RemoteOptions): Promise<void> {
  const tokens = await withDaemon(options, (call) =>
    callList<ListedToken>(call, 'get_key_tokens', { params: [key], details: true }),
  );
  const rows = tokens.map((token) => [
    token.id,
    token.client_name,
    token.policy_name,
    token.revoked_at ? 'revoked' : token.redeemed_at === null ? 'unredeemed' : 'redeemed',
    token.expires_at,
  ]);
  const none = `no tokens: make one with "redoubt token create KEY --policy NAME"`;
  show({ data: tokens, text: table(['ID', 'CLIENT', 'POLICY', 'STATE', 'EXPIRES'], rows, none) }, options.json);
}

async function revoke(given: string, options: RemoteOptions): Promise<void> {
  const id = rowNumber(given, 'a token is revoked', 'token list');
  await withDaemon(options, (call) => call('revoke_token', [id]));
  show({ data: { id, revoked: true }, text: `token ${id} is revoked` }, options.json);
}
