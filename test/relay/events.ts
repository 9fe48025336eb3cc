import { finalizeEvent, generateSecretKey, getPublicKey } from 'nostr-tools/pure';
import type { EventHead } from '../../src/relay/protocol.ts';

export interface Signed {
  head: EventHead;
  raw: string;
}

export interface Someone {
  pubkey: string;
  /** A signed event `p`-tagged with `to`. */
  event(to: string, options?: { kind?: number; content?: string; created_at?: number; tags?: string[][] }): Signed;
}

let serial = 0;

export function someone(): Someone {
  const secret = generateSecretKey();
  return {
    pubkey: getPublicKey(secret),
    event(to, { kind = 24133, content = `content ${serial++}`, created_at = unixNow(), tags = [] } = {}) {
      const event = finalizeEvent({ kind, created_at, content, tags: [['p', to], ...tags] }, secret);
      const { id, pubkey } = event;
      return { head: { id, pubkey, kind, created_at, p: to }, raw: JSON.stringify(event) };
    },
  };
}

export function unixNow(): number {
  return Math.floor(Date.now() / 1000);
}

/** An event that is well formed and signed by nobody. */
export function unsigned(fields: { [name: string]: unknown } = {}): string {
  const hex = (seed: string) => (seed + (serial++).toString(16)).padStart(64, '0');
  return JSON.stringify({
    id: hex('1'),
    pubkey: 'ab'.repeat(32),
    kind: 24133,
    created_at: unixNow(),
    tags: [['p', 'cd'.repeat(32)]],
    content: 'nothing',
    sig: 'ef'.repeat(64),
    ...fields,
  });
}

/** Waits until something holds; the file's deadline is the only clock. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5));
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
