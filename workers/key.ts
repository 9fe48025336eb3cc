/** Entry point of a key actor's thread: blank and warm until `activate` makes it the actor of one key, for good. */
import { once } from 'node:events';
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { openLegacy } from '../prisma-compat/open-legacy.ts';
import { systemClock } from '../src/actor/clock.ts';
import { Link } from '../src/actor/link.ts';
import { type Secret, wipe } from '../src/actor/protocol.ts';
import { takeInSecret } from '../src/actor/secret-port.ts';
import type { CurveName } from '../src/curve/curve.ts';
import { loadCurve } from '../src/curve/load.ts';
import { KeyActor } from '../src/key/actor.ts';
import { PolicyDoor } from '../src/key/policy-door.ts';
import type { KeySettings, KeyToMain, MainToKey } from '../src/key/protocol.ts';
import { warmUp } from '../src/key/warm-up.ts';
import type { Unsealing } from '../src/keystore/protocol.ts';
import { openSealed } from '../src/keystore/seal.ts';
import { StageReporter } from '../src/metrics/stage-reporter.ts';
import { deriveReplayKey } from '../src/nip46/envelope.ts';
import { bytesToHex } from '../src/nip46/hex.ts';

/** How long what waits on a port may take to arrive, ms. */
const PORT_MS = 5_000;

const curve = await loadCurve((workerData as { curve: CurveName }).curve);
let actor: KeyActor | undefined;
let spent = false;
/** May come while the key is still being opened. */
let changed: KeySettings | undefined;
const times = new StageReporter((report) => main.tell('times', { report }));

const main = new Link<KeyToMain, MainToKey>(parentPort!, {
  activate: async ({ pubkey, vault, policy, limits, relays }) => {
    if (actor !== undefined || spent) return { ok: false, refusal: 'this thread holds a key already' };
    const unsealing = await receive(vault);
    if (unsealing === null) return { ok: false, refusal: 'the vault did not answer' };
    let privateKey: Secret | undefined;
    try {
      privateKey = openAny(unsealing);
      const key = curve.openKey(privateKey);
      if (bytesToHex(key.publicKey) !== pubkey) {
        key.wipe();
        return { ok: false, refusal: 'key file is damaged' };
      }
      const door = new PolicyDoor(systemClock, (ms) => times.observe('policy', ms));
      door.attach(policy);
      const settings = changed ?? { limits, relays };
      actor = new KeyActor(main, curve, key, deriveReplayKey(privateKey), door, settings, systemClock, times);
      return { ok: true };
    } catch {
      return { ok: false, refusal: 'key file is damaged' };
    } finally {
      wipe(unsealing.unsealingKey, privateKey);
    }
  },
  check: async ({ pubkey, vault }) => {
    if (actor !== undefined || spent) return { ok: false, refusal: 'this thread holds a key already' };
    spent = true;
    const unsealing = await receive(vault);
    if (unsealing === null) return { ok: false, refusal: 'the vault did not answer: try again' };
    let privateKey: Secret | null | undefined;
    try {
      privateKey = unsealing.sealed.version === 0 ? openLegacy(unsealing.sealed, unsealing.unsealingKey) : undefined;
      if (privateKey === null) return { ok: false, refusal: 'wrong passphrase' };
      const key = curve.openKey(privateKey!);
      const own = bytesToHex(key.publicKey);
      key.wipe();
      return pubkey === '' || pubkey === own
        ? { ok: true, pubkey: own }
        : { ok: false, refusal: 'key file is damaged' };
    } catch {
      return { ok: false, refusal: 'key file is damaged' };
    } finally {
      wipe(unsealing.unsealingKey, privateKey);
    }
  },
  event: (event) => {
    // An exception in here is a bug: it ends the thread, and the supervisor starts the key again.
    void actor?.handle(event);
  },
  introduce: async ({ client, secret: port }) => {
    const secret = await takeInSecret(port, PORT_MS);
    if (secret === null) return null;
    try {
      return actor?.introduce(client, new TextDecoder().decode(secret)) ?? null;
    } finally {
      wipe(secret);
    }
  },
  authenticate: async ({ relay, challenge }) => (await actor?.authenticate(relay, challenge)) ?? null,
  settings: (settings) => {
    changed = settings;
    actor?.change(settings);
  },
  policy: ({ port }) => actor?.setPolicy(port),
  wipe: () => {
    actor?.wipe();
    times.flush();
    return null;
  },
});

await warmUp(curve);
main.tell('ready', { curve: curve.name });

/** @throws Error `key file is damaged` */
function openAny({ sealed, slot, unsealingKey }: Unsealing): Secret {
  if (sealed.version === 1) return openSealed({ sealed, slot, unsealingKey });
  const privateKey = openLegacy(sealed, unsealingKey);
  if (privateKey === null) throw new Error('key file is damaged');
  return privateKey;
}

async function receive(port: MessagePort): Promise<Unsealing | null> {
  try {
    const [message] = await once(port, 'message', { signal: AbortSignal.timeout(PORT_MS) });
    return message as Unsealing;
  } catch {
    return null;
  } finally {
    port.close();
  }
}
