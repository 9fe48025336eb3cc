import { Command } from 'commander';
import { callList } from './listed.ts';
import { cell, show, table } from './output.ts';
import { EXIT, Refusal } from './refusal.ts';
import { type RemoteOptions, remoteCommand, withDaemon } from './remote.ts';

/** `redoubt requests ...` */
export function requestsCommand(): Command {
  const requests = new Command('requests').description('what clients ask for and no rule answers');
  requests.addCommand(remoteCommand('list', 'list the requests that an admin may decide on').action(list));
  requests.addCommand(
    remoteCommand('approve', 'allow a request and those like it, from now on')
      .argument('<id>', 'as "redoubt requests list" shows it')
      .option('--kind <kind>', 'for sign_event: allow this kind, or "all"; the kind of the request when left out')
      .option('--once', 'allow this request only')
      .action(approve),
  );
  requests.addCommand(
    remoteCommand('deny', 'refuse a request; the client may ask again')
      .argument('<id>', 'as "redoubt requests list" shows it')
      .action(deny),
  );
  return requests;
}

interface ListedRequest {
  id: string;
  key: string;
  client: string;
  method: string;
  kind: number | null;
  description: string;
  waiting: boolean;
  created_at: string;
}

async function list(options: RemoteOptions): Promise<void> {
  const requests = await withDaemon(options, (call) => callList<ListedRequest>(call, 'get_requests'));
  const rows = requests.map(({ id, key, client, method, kind, description, waiting, created_at }) => {
    const what = kind === null ? method : `${method}:${kind}`;
    return [id, key, what, client, description, waiting ? 'waits' : 'refused for want of an answer', created_at];
  });
  const none = 'no requests: clients ask for nothing that no rule answers';
  const headings = ['ID', 'KEY', 'ASKS FOR', 'CLIENT', 'WHO', 'STATE', 'SINCE'];
  show({ data: requests, text: table(headings, rows, none) }, options.json);
}

async function approve(id: string, options: RemoteOptions & { kind?: string; once?: true }): Promise<void> {
  const { kind, once } = options;
  if (kind !== undefined && once === true) throw new Refusal('--kind and --once exclude each other', EXIT.usage);
  const scope = once === true ? { once } : kind === undefined ? {} : { kind };
  await withDaemon(options, (call) => call('approve_request', [id, JSON.stringify(scope)]));
  const text = `${cell(id)} is allowed${once === true ? ' once' : ''}`;
  show({ data: { id, approved: true, once: once === true }, text }, options.json);
}

async function deny(id: string, options: RemoteOptions): Promise<void> {
  await withDaemon(options, (call) => call('deny_request', [id]));
  show({ data: { id, denied: true }, text: `${cell(id)} is denied` }, options.json);
}
