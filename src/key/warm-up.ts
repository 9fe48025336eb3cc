import { createHash, randomBytes } from 'node:crypto';
import { systemClock } from '../actor/clock.ts';
import { asSecret, wipe } from '../actor/protocol.ts';
import type { Curve } from '../curve/curve.ts';
import { deriveReplayKey, Envelope } from '../nip46/envelope.ts';

/** Rounds that bring the just-in-time compiler through the signing path; measured: docs/PERFORMANCE.md. */
const ROUNDS = 50;

/**
 * Runs the path of a request (verify, open, sign, seal) with a throwaway key that asks itself, so that the first
 * request of the key that this thread will hold does not pay for compilation.
 */
export function warmUp(curve: Curve, rounds = ROUNDS): void {
  const privateKey = asSecret(createHash('sha256').update(randomBytes(32)).digest());
  const key = curve.openKey(privateKey);
  const limits = { maxClockSkew: 600, maxContent: 65_536 };
  const envelope = new Envelope(curve, key, deriveReplayKey(privateKey), limits, systemClock);
  const self = { event: { pubkey: envelope.pubkey }, encryption: 'nip44' as const };
  const text = JSON.stringify({ id: 'warm', method: 'sign_event', params: ['{"kind":1,"content":"","tags":[]}'] });
  for (let i = 0; i < rounds; i++) {
    const { raw } = envelope.seal(self, text);
    const event = envelope.read(raw);
    if (typeof event === 'string' || !envelope.verify(event)) throw new Error('the curve backend failed its own test');
    envelope.open(event);
  }
  envelope.wipe();
  wipe(privateKey);
}
