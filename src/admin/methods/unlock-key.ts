import * as z from 'zod/mini';
import { handOn } from '../../keystore/passphrase-port.ts';
import { WRONG } from '../../keystore/protocol.ts';
import type { Answer } from '../answer.ts';
import { name, secret } from './fields.ts';
import { method } from './method.ts';

const UNLOCK_MS = 120_000;
const LOCKED_SINCE = 'the key was locked after this request was made: ask again if it is to be unlocked';

/** `unlock_key` [keyName, passphrase] -> {"success": true} or {"success": false, "error"} */
export const unlockKey = method({
  params: ['keyName', 'passphrase'],
  secret: ['passphrase'],
  schema: z.object({ keyName: name, passphrase: secret }),
  changes: true,
  failed: (error) => JSON.stringify({ success: false, error }),
  touches: ({ keyName }) => [`key:${keyName}`],
  target: ({ keyName }) => keyName,
  run: async ({ keyName }, desk, { admin, createdAt, mark, secrets: { passphrase } }) => {
    const row = await desk.policy.ask('findKey', { name: keyName });
    if (row === null || row.deletedAt !== null) return failure(`no key named "${keyName}": get_keys lists them`);
    const lockedLater = row.lockedAt !== null && createdAt < Math.floor(row.lockedAt / 1000);
    if (lockedLater || desk.locks.since(keyName, mark)) return failure(LOCKED_SINCE);

    const unlocked = (await desk.main.ask('unlocked', null)).find((key) => key.pubkey === row.pubkey);
    // Unlocking is what brings a key back that crashed too often.
    if (unlocked === undefined || unlocked.quarantined === true) {
      const who = [`key ${keyName}`, `admin ${admin}`];
      const wait = desk.wrongPassphrases.wait(...who);
      if (wait > 0) return failure(`too many wrong passphrases: try again in ${Math.ceil(wait / 1000)} s`, true);
      if (passphrase === undefined || passphrase.length === 0) return failure('the passphrase is empty');
      const result = await desk.unlockers.run(0, () => {
        const port = handOn({ passphrase });
        const asked = { names: [keyName], source: { port } };
        return desk.main.ask('unlockKeys', asked, { timeoutMs: UNLOCK_MS, transfer: [port] });
      });
      if (result.refusal !== undefined) return failure(result.refusal, true);
      const failed = result.failed.find((one) => one.pubkey === row.pubkey) ?? result.failed[0];
      if (failed !== undefined) {
        if (failed.error === WRONG) desk.wrongPassphrases.failed(...who);
        return failure(failed.error);
      }
      desk.wrongPassphrases.succeeded(...who);
    }
    // A lock that came in while the key was being opened wins.
    if (desk.locks.since(keyName, mark)) {
      await desk.main.ask('lockKeys', { names: [keyName] });
      return failure(LOCKED_SINCE);
    }
    if (row.lockedAt !== null) {
      const kept = await desk.policy.ask('setLocked', { name: keyName, locked: false });
      if (!kept.ok) return failure(`unlocked, but it will be locked again after a restart: ${kept.refusal}`);
    }
    return { ok: true, result: JSON.stringify({ success: true }) };
  },
});

function failure(error: string, passing = false): Answer {
  return { ok: false, error, passing };
}
