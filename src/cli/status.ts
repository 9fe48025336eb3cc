import type { Command } from 'commander';
import { latencyText, type StatusAnswer, waitingText } from './daemon-status.ts';
import { cell, show, table } from './output.ts';
import { type RemoteOptions, remoteCommand, withDaemon } from './remote.ts';

/** `redoubt status` */
export function statusCommand(): Command {
  return remoteCommand('status', 'how the daemon is').action(async (options: RemoteOptions) => {
    const status = JSON.parse(await withDaemon(options, (call) => call('get_status'))) as StatusAnswer;
    show({ data: status, text: statusText(status) }, options.json);
  });
}

function statusText(status: StatusAnswer): string {
  const { keys, audit, autounlock, quarantined } = status;
  const requests = Object.entries(status.requests).map(([outcome, n]) => `${outcome} ${n}`);
  const facts = [
    ['version', status.version],
    ['uptime', `${Math.round(status.uptime)} s`],
    ['curve', status.curve],
    ['schema', status.schemaVersion],
    ['keys', `${keys.total}: ${keys.unlocked} unlocked (${keys.active} active), ${keys.locked} locked`],
    ['audit log', audit.writable ? `${audit.rows} rows` : `not writable: ${audit.failure ?? 'unknown why'}`],
    ['waiting', waitingText(status)],
    ['autounlock', autounlock === null ? 'off' : `${autounlock.unlocked} of ${autounlock.total} keys`],
    ...quarantined.map(({ key, reason }) => ['quarantined', `${cell(key)}: ${cell(reason)}`]),
    ['requests', requests.length === 0 ? 'none yet' : requests.join(', ')],
    ['latency', latencyText(status)],
  ];
  const relays = status.relays.map(({ url, state, roundTripMs, reason }) => {
    return [url, state, roundTripMs === null ? null : `${Math.round(roundTripMs)} ms`, reason];
  });
  const lines = facts.map(([name, value]) => `${String(name).padEnd(11)} ${value ?? '-'}`);
  return `${lines.join('\n')}\n\n${table(['RELAY', 'STATE', 'ROUND TRIP', 'WHY'], relays, 'no relays')}`;
}
