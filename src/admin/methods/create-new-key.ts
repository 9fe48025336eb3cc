import * as z from 'zod/mini';
import type { Secret } from '../../actor/protocol.ts';
import { makeKey } from '../make-key.ts';
import { npubEncode } from '../npub.ts';
import { newKeyName, secret } from './fields.ts';
import { method } from './method.ts';

/**
 * `create_new_key` [keyName, passphrase, nsec or ncryptsec or hex?, the ncryptsec's own passphrase?] -> {"npub"};
 * answered when the key is durable and a client may connect.
 */
export const createNewKey = method({
  params: ['keyName', 'passphrase', 'key', 'keyPassphrase'],
  secret: ['passphrase', 'key', 'keyPassphrase'],
  schema: z.object({
    keyName: newKeyName,
    passphrase: secret,
    key: z.optional(secret),
    keyPassphrase: z.optional(secret),
  }),
  changes: true,
  touches: ({ keyName }) => [`key:${keyName}`],
  target: ({ keyName }) => keyName,
  run: async ({ keyName }, desk, { secrets: { passphrase, key, keyPassphrase }, mark }) => {
    if (passphrase === undefined || passphrase.length === 0) {
      return { ok: false, error: 'Invalid params: passphrase is empty' };
    }
    const same = await desk.policy.ask('findKey', { name: keyName });
    if (same !== null) {
      const why = same.deletedAt === null ? 'exists already' : 'was deleted: its name is free once it is purged';
      return { ok: false, error: `a key named "${keyName}" ${why}` };
    }
    const message = { passphrase, ...present('imported', key), ...present('importPassphrase', keyPassphrase) };
    const made = await makeKey(desk, mark, keyName, message);
    if (!made.ok) return { ok: false, error: made.refusal };
    return { ok: true, result: JSON.stringify({ npub: npubEncode(made.pubkey) }) };
  },
});

/** An empty text stands for a parameter that was left out. */
function present<K extends string>(name: K, secret: Secret | undefined): { [k in K]?: Secret } {
  return secret === undefined || secret.length === 0 ? {} : ({ [name]: secret } as { [k in K]?: Secret });
}
