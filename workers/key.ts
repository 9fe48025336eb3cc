/** Entry point of a key actor's thread: blank and warm until `activate` makes it the actor of one key, for good. */
import { once } from 'node:events';
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { systemClock } from '../src/actor/clock.ts';
import { Link } from '../src/actor/link.ts';
import { wipe } from '../src/actor/protocol.ts';
import type { CurveName } from '../src/curve/curve.ts';
import { loadCurve } from '../src/curve/load.ts';
import { KeyActor } from '../src/key/actor.ts';
import { PolicyDoor } from '../src/key/policy-door.ts';
import type { KeyToMain, MainToKey } from '../src/key/protocol.ts';
import { warmUp } from '../src/key/warm-up.ts';
import type { Unsealing } from '../src/keystore/protocol.ts';
import { openSealed } from '../src/keystore/seal.ts';
import { deriveReplayKey } from '../src/nip46/envelope.ts';
import { bytesToHex } from '../src/nip46/hex.ts';

const VAULT_TIMEOUT_MS = 5_000;

const curve = await loadCurve((workerData as { curve: CurveName }).curve);
let actor: KeyActor | undefined;

const main = new Link<KeyToMain, MainToKey>(parentPort!, {
  activate: async ({ pubkey, vault, policy, limits, relays }) => {
    if (actor !== undefined) return { ok: false, refusal: 'this thread holds a key already' };
    const unsealing = await receive(vault);
    if (unsealing === null) return { ok: false, refusal: 'the vault did not answer' };
    let privateKey: ReturnType<typeof openSealed> | undefined;
    try {
      privateKey = openSealed(unsealing);
      const key = curve.openKey(privateKey);
      if (bytesToHex(key.publicKey) !== pubkey) {
        key.wipe();
        return { ok: false, refusal: 'key file is damaged' };
      }
      const door = new PolicyDoor(systemClock);
      door.attach(policy);
      actor = new KeyActor(main, curve, key, deriveReplayKey(privateKey), door, { limits, relays }, systemClock);
      return { ok: true };
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
  policy: ({ port }) => actor?.setPolicy(port),
  wipe: () => {
    actor?.wipe();
    return null;
  },
});

await warmUp(curve);
main.tell('ready', { curve: curve.name });

async function receive(port: MessagePort): Promise<Unsealing | null> {
  try {
    const [message] = await once(port, 'message', { signal: AbortSignal.timeout(VAULT_TIMEOUT_MS) });
    return message as Unsealing;
  } catch {
    return null;
  } finally {
    port.close();
  }
}
