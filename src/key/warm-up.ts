import { createHash, randomBytes } from 'node:crypto';
import { MessageChannel } from 'node:worker_threads';
import { systemClock } from '../actor/clock.ts';
import { Link } from '../actor/link.ts';
import { asSecret, newSecret, type Secret, wipe } from '../actor/protocol.ts';
import { copyOf, portWith } from '../actor/secret-port.ts';
import type { Curve } from '../curve/curve.ts';
import type { Slot, Unsealing } from '../keystore/protocol.ts';
import { seal } from '../keystore/seal.ts';
import { StageReporter } from '../metrics/stage-reporter.ts';
import { deriveReplayKey, Envelope } from '../nip46/envelope.ts';
import { bytesToHex } from '../nip46/hex.ts';
import type { KeyToPolicy, PolicyToKey } from '../policy/protocol.ts';
import { KeyActor, type ToMain } from './actor.ts';
import { openFrom } from './opening.ts';
import { PolicyDoor } from './policy-door.ts';
import type { KeyLimits } from './protocol.ts';

/** Rounds that bring the just-in-time compiler through the signing path; measured: docs/PERFORMANCE.md. */
const ROUNDS = 50;
const OPENINGS = 10;
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
 * Opens a throwaway key as the vault sends one, and runs the whole path of a request with an actor of it that asks
 * itself, decisions over a port included, so that the first request of the key that this thread will hold does not pay
 * for compilation.
 */
export async function warmUp(curve: Curve, rounds = ROUNDS): Promise<void> {
  const privateKey = asSecret(createHash('sha256').update(randomBytes(32)).digest());
  await warmUpOpening(curve, privateKey);
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
  const { port1, port2 } = new MessageChannel();
  new Link<PolicyToKey, KeyToPolicy>(port1, { decide: allowed, connect: allowed, logout: allowed, relayAuth: allowed });
  const door = new PolicyDoor(systemClock);
  door.attach(port2);
  const actor = new KeyActor(main, curve, key, replayKey, door, settings, systemClock, times);
  const self = { event: { pubkey: client.pubkey }, encryption: 'nip44' as const };
  for (let i = 0; i < rounds; i++) {
    const template = { ...NOTE, created_at: Math.floor(systemClock.now() / 1000) };
    const request = { id: `warm ${i}`, method: 'sign_event', params: [JSON.stringify(template)] };
    const { raw } = client.seal(self, JSON.stringify(request));
    await actor.handle({ seq: i, raw, arrived: systemClock.mono(), lane: 'normal', again: false });
  }
  port1.close();
  actor.wipe();
  times.flush();
  client.wipe();
  wipe(privateKey);
  if (signed !== rounds) throw new Error('the curve backend failed its own test');
}

const allowed = () => ({ ok: true, grant: 'warm-up' }) as const;

async function warmUpOpening(curve: Curve, privateKey: Secret): Promise<void> {
  const key = curve.openKey(privateKey);
  const pubkey = bytesToHex(key.publicKey);
  key.wipe();
  const salt = Buffer.alloc(32).toString('base64');
  const slot: Slot = { id: 'warm-up', salt, logN: 14, r: 8, p: 1, check: salt };
  const unsealingKey = newSecret(32);
  const sealed = seal({ name: 'warm-up', pubkey, privateKey }, slot, unsealingKey, randomBytes(24));
  for (let i = 0; i < OPENINGS; i++) {
    const unsealing: Unsealing = { sealed, slot, unsealingKey: copyOf(unsealingKey) };
    const opened = await openFrom(portWith(unsealing, [unsealing.unsealingKey]), curve, pubkey);
    if (!opened.ok) throw new Error('the keystore failed its own test');
    opened.key.wipe();
    wipe(opened.replayKey);
  }
}
