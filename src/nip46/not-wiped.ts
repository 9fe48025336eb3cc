import type { Secret } from '../actor/protocol.ts';

/**
 * Refuses a key of zeros: it is one that was wiped while somebody still held it, and what it encrypts everybody can
 * read. No point has x = 0, so it is never a real one.
 */
export function mustNotBeWiped(key: Secret): void {
  for (let i = 0; i < key.length; i++) if (key[i] !== 0) return;
  throw new Error('this key was wiped');
}
