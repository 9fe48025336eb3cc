import { Command } from 'commander';
import { callList } from './listed.ts';
import { cell, show, table } from './output.ts';
import { EXIT, Refusal } from './refusal.ts';
import { type RemoteOptions, remoteCommand, withDaemon } from './remote.ts';
import { rowNumber } from './row-number.ts';

/** `redoubt user ...` */
export function userCommand(): Command {
  const user = new Command('user').description('the clients that are bound to a key');
  user.addCommand(
    remoteCommand('list', "list a key's clients, revoked ones too").argument('<key>', 'name of the key').action(list),
  );
  user.addCommand(
    remoteCommand('rename', 'say what to call a client')
      .argument('<pubkey>', "the client's public key: hex or npub")
      .argument('<name>')
      .option('--key <key>', 'only under this key; under every key that it is bound to when left out')
      .action(rename),
  );
  user.addCommand(
    remoteCommand('revoke', 'refuse everything from a client, at once; what it was granted ends')
      .argument('<id>', 'its number in "redoubt user list"')
      .action(revoke),
  );
  return user;
}

interface ListedUser {
  id: number;
  pubkey: string;
  description: string | null;
  lastUsedAt: string | null;
  revokedAt: string | null;
}

async function list(key: string, options: RemoteOptions): Promise<void> {
  const users = await withDaemon(options, (call) => callList<ListedUser>(call, 'get_key_users', { params: [key] }));
  const rows = users.map(({ id, description, pubkey, lastUsedAt, revokedAt }) => {
    return [id, description, pubkey, revokedAt === null ? 'bound' : 'revoked', lastUsedAt];
  });
  const none = 'no clients: a client is bound when it connects with a token ("redoubt token create")';
  show({ data: users, text: table(['ID', 'NAME', 'PUBKEY', 'STATE', 'LAST USED'], rows, none) }, options.json);
}

async function rename(pubkey: string, name: string, options: RemoteOptions & { key?: string }): Promise<void> {
  if (name.trim() === '') throw new Refusal('the new name is empty', EXIT.usage);
  const params = [pubkey, name, ...(options.key === undefined ? [] : [options.key])];
  await withDaemon(options, (call) => call('rename_key_user', params));
  show({ data: { pubkey, name }, text: `${cell(pubkey)} is called ${cell(name)}` }, options.json);
}

async function revoke(given: string, options: RemoteOptions): Promise<void> {
  const id = rowNumber(given, 'a client is revoked', 'user list');
  await withDaemon(options, (call) => call('revoke_user', [id]));
  show({ data: { id, revoked: true }, text: `client ${id} is revoked` }, options.json);
}
