import type { VirtualKey } from './key/virtual-key.ts';
import type { PolicyStatus } from './policy/protocol.ts';
import type { RelayStatus } from './relay/protocol.ts';

/** Why the daemon is not well, one line each; none when it is. `autounlock`: its own reasons. */
export function healthReasons(found: {
  policy: PolicyStatus | null;
  relays: readonly RelayStatus[];
  keys: Iterable<VirtualKey>;
  autounlock: readonly string[];
}): string[] {
  const { policy, relays, keys, autounlock } = found;
  const reasons: string[] = [];
  if (policy === null) reasons.push('the policy actor does not answer');
  else if (!policy.writable) reasons.push(`the audit log cannot be written: ${policy.failure ?? 'unknown reason'}`);
  if (!relays.some((relay) => relay.state === 'ready')) {
    const why = relays.map(({ url, reason }) => `${url}: ${reason ?? 'connecting'}`).join('; ');
    reasons.push(`no relay is ready (${why || 'none is configured'})`);
  }
  for (const key of keys) {
    if (key.state === 'quarantined') reasons.push(`key ${key.name} is quarantined: ${key.reason}`);
  }
  return [...reasons, ...autounlock];
}
