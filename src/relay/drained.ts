import type { Clock } from '../actor/clock.ts';
import type { RelayStatus } from './protocol.ts';

const DRAIN_LOOK_MS = 10;

/** Resolves when the relays that are connected have taken what was published, after `ms` in any case. */
export async function drained(
  status: () => readonly Pick<RelayStatus, 'state' | 'queued'>[],
  clock: Clock,
  ms: number,
): Promise<void> {
  const until = clock.mono() + ms;
  const waits = () => status().some(({ state, queued }) => state === 'ready' && queued > 0);
  while (waits() && clock.mono() < until) await new Promise((resolve) => setTimeout(resolve, DRAIN_LOOK_MS));
}
