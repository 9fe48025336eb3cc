import { readInvitation } from '../nip46/nostrconnect.ts';
import { findPolicy } from './find-policy.ts';
import { cell, show } from './output.ts';
import { EXIT, Refusal } from './refusal.ts';
import { type RemoteOptions, remoteCommand, withDaemon } from './remote.ts';

interface ConnectOptions extends RemoteOptions {
  key: string;
  policy: string;
}

/** The client's relays have to be reached, and to take the response, ms. */
const CONNECT_MS = 30_000;

/** `redoubt connect` */
export function connectCommand(): ReturnType<typeof remoteCommand> {
  return remoteCommand('connect', 'connect a client that shows a nostrconnect:// URI, for example as a QR code')
    .argument('<uri>', 'the nostrconnect:// URI, in quotes')
    .requiredOption('--key <name>', 'the key that the client is to use')
    .requiredOption('--policy <name>', 'what it may do; the name of a policy, or its number')
    .action(connect);
}

async function connect(uri: string, options: ConnectOptions): Promise<void> {
  // Which relays may be dialled is the daemon's to say.
  const read = readInvitation(uri, true);
  if (!read.ok) throw new Refusal(read.refusal, EXIT.usage);
  const { client, label, perms, relays } = read.invitation;
  await withDaemon(options, async (call) => {
    const policy = await findPolicy(call, options.policy);
    await call('connect_client', [uri, options.key, policy.id], CONNECT_MS);
    const data = { key: options.key, client, name: label, policy: policy.name, perms, relays };
    const asked = perms === '' ? '' : `\nit asked for: ${cell(perms)}`;
    const who = label === '' ? client : `${cell(label)} (${client})`;
    const text = `${who} may use ${cell(options.key)} as ${cell(policy.name)} says${asked}`;
    show({ data, text }, options.json);
  });
}
