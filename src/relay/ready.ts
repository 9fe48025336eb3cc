import type { RelayStatus } from './protocol.ts';

const LOOK_MS = 20;

const PATIENCE_MS = 5_000;

/** Resolves when every relay is ready, or after `ms`: relays that cannot be reached hold nothing up for longer. */
export async function relaysReady(relays: { status(): readonly RelayStatus[] }, ms = PATIENCE_MS): Promise<void> {
  const end = performance.now() + ms;
  while (relays.status().some((relay) => relay.state !== 'ready') && performance.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}
