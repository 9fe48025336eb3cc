import { createHash, randomBytes } from 'node:crypto';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { systemClock } from '../actor/clock.ts';
import { Link } from '../actor/link.ts';
import { asSecret, newSecret, type Secret, wipe } from '../actor/protocol.ts';
import { portWith } from '../actor/secret-port.ts';
import type { Curve } from '../curve/curve.ts';
import type { Slot, Unsealing } from '../keystore/protocol.ts';
import { seal } from '../keystore/seal.ts';
import { deriveReplayKey, Envelope } from '../nip46/envelope.ts';
import type { KeyToPolicy, PolicyToKey } from '../policy/protocol.ts';
import { holdKey } from './holder.ts';
import type { KeyLimits, KeyToMain, MainToKey } from './protocol.ts';

/** How often a key is held, and requests each time: measured, docs/PERFORMANCE.md. */
const TIMES = 24;
const REQUESTS = 2;
/** A machine that is busy with something else is no fault of the backend's. */
const PATIENCE_MS = 60_000;
const LIMITS: KeyLimits = {
  maxClockSkew: 600,
  maxFutureEvent: 900,
  answerUnknown: 'connect',
  clientRate: 1_000_000,
  clientBurst: 1_000_000,
  requestDeadline: PATIENCE_MS,
  maxContent: 65_536,
};
const NOTE = { kind: 1, tags: [['p', '0'.repeat(64)]], content: 'as long as notes are, more or less '.repeat(4) };

/**
 * Rehearses what this thread is there for with a throwaway key: it is brought as the vault brings one, becomes a key
 * actor's, and signs what a client asks for; main thread, vault and policy actor are played over ports. The first
 * request of the key that the thread will hold then finds no code that has never run.
 *
 * @param hurry ends it early: a key that waits is better served by a thread that has rehearsed less
 * @throws Error when the backend or the keystore does not work
 */
export async function warmUp(curve: Curve, hurry: AbortSignal): Promise<void> {
  const privateKey = asSecret(createHash('sha256').update(randomBytes(32)).digest());
  // The client is the key itself.
  const client = new Envelope(curve, curve.openKey(privateKey), deriveReplayKey(privateKey), LIMITS, systemClock);
  for (let time = 0; time < TIMES && !hurry.aborted; time++) await rehearse(curve, privateKey, client);
  client.wipe();
  wipe(privateKey);
}

async function rehearse(curve: Curve, privateKey: Secret, client: Envelope): Promise<void> {
  const { pubkey } = client;
  const { port1: mainPort, port2: keyPort } = new MessageChannel();
  const { port1: policyPort, port2: policy } = new MessageChannel();
  new Link<PolicyToKey, KeyToPolicy>(policyPort, {
    decide: allowed,
    connect: allowed,
    logout: allowed,
    relayAuth: allowed,
  });
  holdKey(keyPort, curve);
  const signed = Promise.withResolvers<void>();
  let left = REQUESTS;
  const key = new Link<MainToKey, KeyToMain>(mainPort, {
    ready: ignored,
    verified: ignored,
    done: ({ outcome }) => {
      if (outcome !== 'allowed') signed.reject(new Error(`the curve backend failed its own test: ${outcome}`));
      else if (--left === 0) signed.resolve();
    },
    times: ignored,
    pending: ignored,
    admins: () => Promise.reject(new Error('nobody is asked')),
    log: ignored,
  });
  const vault = vaultWith(privateKey, pubkey);
  const activation = { keyName: 'warm-up', pubkey, vault, policy, limits: LIMITS, relays: [] };
  const activated = key
    .ask('activate', activation, { transfer: [vault, policy], timeoutMs: PATIENCE_MS })
    .then((answer) => {
      if (!answer.ok) throw new Error('the keystore failed its own test');
    });
  for (let seq = 0; seq < REQUESTS; seq++) {
    const template = { ...NOTE, created_at: Math.floor(systemClock.now() / 1000) };
    const request = { id: `warm ${seq}`, method: 'sign_event', params: [JSON.stringify(template)] };
    const { raw } = client.seal({ event: { pubkey }, encryption: 'nip44' }, JSON.stringify(request));
    key.tell('event', { seq, raw, arrived: systemClock.mono(), lane: 'normal', again: false });
  }
  await Promise.all([activated, signed.promise]);
  await key.ask('wipe', null, { timeoutMs: PATIENCE_MS });
  mainPort.close();
  policyPort.close();
}

const ignored = () => {};
const allowed = () => ({ ok: true, grant: 'warm-up' }) as const;

/** A port on which the throwaway key waits, sealed. */
function vaultWith(privateKey: Secret, pubkey: string): MessagePort {
  const salt = Buffer.alloc(32).toString('base64');
  const slot: Slot = { id: 'warm-up', salt, logN: 14, r: 8, p: 1, check: salt };
  const unsealingKey = newSecret(32);
  const sealed = seal({ name: 'warm-up', pubkey, privateKey }, slot, unsealingKey, randomBytes(24));
  return portWith({ sealed, slot, unsealingKey } satisfies Unsealing, [unsealingKey]);
}
