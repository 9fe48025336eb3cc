import { latencyText, type StatusAnswer, waitingText } from './daemon-status.ts';
import { cell, table } from './output.ts';

/** The view of `redoubt top`. @param before the status `seconds` ago, null at the first look */
export function topView(now: StatusAnswer, before: StatusAnswer | null, seconds: number): string {
  const { keys, audit, threads, autounlock } = now;
  const since = (current: number, past: number) => Math.max(0, current - past) / seconds;
  const rate = (outcome: string) =>
    before === null ? null : since(now.requests[outcome] ?? 0, before.requests[outcome] ?? 0).toFixed(1);
  const all = (status: StatusAnswer) => Object.values(status.requests).reduce((sum, count) => sum + count, 0);
  const perSecond = before === null ? '-' : since(all(now), all(before)).toFixed(1);
  const lines = [
    `redoubt ${now.version}   up ${upFor(now.uptime)}   curve ${now.curve}`,
    `keys      ${keys.total}: ${keys.unlocked} unlocked, ${keys.active} active, ${keys.locked} locked`,
    `threads   ${threads.activations} given, ${threads.passivations} taken back, ${threads.crashes} crashed`,
    `requests  ${perSecond}/s`,
    `latency   ${latencyText(now) ?? '-'}`,
    `waiting   ${waitingText(now)}`,
    `audit     ${audit.writable ? `${audit.rows} rows` : `not writable: ${cell(audit.failure)}`}`,
  ];
  if (autounlock !== null && !autounlock.complete) {
    lines.push(`unlocking ${autounlock.unlocked} of ${autounlock.total} keys`);
  }
  for (const { key, reason } of now.quarantined) lines.push(`quarantined: ${cell(key)} (${cell(reason)})`);
  const outcomes = Object.entries(now.requests).map(([outcome, count]) => [outcome, count, rate(outcome)]);
  const relays = now.relays.map(({ url, state, roundTripMs, reconnects, reason }) => {
    return [url, state, roundTripMs === null ? null : `${Math.round(roundTripMs)} ms`, reconnects, reason];
  });
  return [
    lines.join('\n'),
    table(['OUTCOME', 'COUNT', 'PER SECOND'], outcomes, 'no requests yet'),
    table(['RELAY', 'STATE', 'ROUND TRIP', 'RECONNECTS', 'WHY'], relays, 'no relays'),
  ].join('\n\n');
}

function upFor(seconds: number): string {
  const parts = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'min'],
    [seconds % 60, 's'],
  ] as const;
  const first = parts.findIndex(([count]) => count > 0);
  if (first < 0) return '0 s';
  return parts
    .slice(first, first + 2)
    .map(([count, unit]) => `${count} ${unit}`)
    .join(' ');
}
