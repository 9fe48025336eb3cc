import type { Command } from 'commander';
import { show, table } from './output.ts';
import { type RemoteOptions, remoteCommand, withDaemon } from './remote.ts';

/** `redoubt status` */
export function statusCommand(): Command {
  return remoteCommand('status', 'how the daemon is').action(async (options: RemoteOptions) => {
    const status = JSON.parse(await withDaemon(options, (call) => call('get_status')));
    show({ data: status, text: statusText(status) }, options.json);
  });
}

interface Status {
  version: string;
  uptime: number;
  curve: string;
  schemaVersion: number | null;
  keys: { total: number; unlocked: number; locked: number; active: number };
  relays: { url: string; state: string; roundTripMs: number | null }[];
  requests: { [outcome: string]: number };
  latency: { p50: number; p95: number; p99: number } | null;
  audit: { writable: boolean; failure: string | null; rows: number | null };
}

function statusText(status: Status): string {
  const { keys, audit, latency } = status;
  const requests = Object.entries(status.requests).map(([outcome, n]) => `${outcome} ${n}`);
  const facts = [
    ['version', status.version],
    ['uptime', `${Math.round(status.uptime)} s`],
    ['curve', status.curve],
    ['schema', status.schemaVersion],
    ['keys', `${keys.total}: ${keys.unlocked} unlocked (${keys.active} active), ${keys.locked} locked`],
    ['audit log', audit.writable ? `${audit.rows} rows` : `not writable: ${audit.failure ?? 'unknown why'}`],
    ['requests', requests.length === 0 ? 'none yet' : requests.join(', ')],
    ['latency', latency === null ? null : `p50 ${latency.p50} ms, p95 ${latency.p95} ms, p99 ${latency.p99} ms`],
  ];
  const relays = status.relays.map(({ url, state, roundTripMs }) => {
    return [url, state, roundTripMs === null ? null : `${Math.round(roundTripMs)} ms`];
  });
  const lines = facts.map(([name, value]) => `${String(name).padEnd(10)} ${value ?? '-'}`);
  return `${lines.join('\n')}\n\n${table(['RELAY', 'STATE', 'ROUND TRIP'], relays, 'no relays')}`;
}
