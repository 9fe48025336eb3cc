import { createHash, randomBytes } from 'node:crypto';
import { systemClock } from '../actor/clock.ts';
import { asSecret, wipe } from '../actor/protocol.ts';
import type { Curve } from '../curve/curve.ts';
import { StageReporter } from '../metrics/stage-reporter.ts';
import { deriveReplayKey, Envelope } from '../nip46/envelope.ts';
import { KeyActor, type ToMain } from './actor.ts';
import type { Policy } from './policy-door.ts';
import type { KeyLimits } from './protocol.ts';

/** Rounds that bring the just-in-time compiler through the signing path; measured: docs/PERFORMANCE.md. */
const ROUNDS = 50;
const LIMITS: KeyLimits = {
  maxClockSkew: 600,
  maxFutureEvent: 900,
  answerUnknown: 'connect',
  clientRate: 1_000_000,
  clientBurst: 1_000_000,
  requestDeadline: 10_000,
  maxContent: 65_536,
};
const NOTE = { kind: 1, tags: [['p', '0'.repeat(64)]], content: 'as long as notes are, more or less '.repeat(4) };

/**
 * Runs the whole path of a request with an actor of a throwaway key that asks itself, so that the first request of the
 * key that this thread will hold does not pay for compilation.
 */
export async function warmUp(curve: Curve, rounds = ROUNDS): Promise<void> {
  const privateKey = asSecret(createHash('sha256').update(randomBytes(32)).digest());
  const client = new Envelope(curve, curve.openKey(privateKey), deriveReplayKey(privateKey), LIMITS, systemClock);
  let signed = 0;
  const main: ToMain = {
    tellSoon: () => {},
    ask: () => Promise.reject(new Error('nobody is asked')),
    tell: (_type, body) => {
      if ((body as { outcome?: string }).outcome === 'allowed') signed++;
    },
  };
  const settings = { limits: LIMITS, relays: [] };
  const key = curve.openKey(privateKey);
  const times = new StageReporter(() => {});
  const replayKey = deriveReplayKey(privateKey);
  const actor = new KeyActor(main, curve, key, replayKey, anything, settings, systemClock, times);
  const self = { event: { pubkey: client.pubkey }, encryption: 'nip44' as const };
  for (let i = 0; i < rounds; i++) {
    const template = { ...NOTE, created_at: Math.floor(systemClock.now() / 1000) };
    const request = { id: `warm ${i}`, method: 'sign_event', params: [JSON.stringify(template)] };
    const { raw } = client.seal(self, JSON.stringify(request));
    await actor.handle({ seq: i, raw, arrived: systemClock.mono(), lane: 'normal', again: false });
  }
  actor.wipe();
  times.flush();
  client.wipe();
  wipe(privateKey);
  if (signed !== rounds) throw new Error('the curve backend failed its own test');
}

const allowed = async () => ({ ok: true, grant: 'warm-up' }) as const;
const anything: Policy = { attach: () => {}, decide: allowed, connect: allowed, logout: allowed, relayAuth: allowed };
