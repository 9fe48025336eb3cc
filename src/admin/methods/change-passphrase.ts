import * as z from 'zod/mini';
import { handOn } from '../../keystore/passphrase-port.ts';
import { WRONG } from '../../keystore/protocol.ts';
import type { Answer } from '../answer.ts';
import type { Desk } from '../desk.ts';
import { EVERY_KEY } from '../queue.ts';
import { name, secret } from './fields.ts';
import { keyExists, noSuchKey } from './known-key.ts';
import { type Call, method } from './method.ts';

/** Ten thousand files are replaced one by one, each durably. */
const CHANGE_MS = 600_000;
const EVERY = '*';
/** Failed keys that the answer names. */
const NAMED = 10;

/**
 * `change_passphrase` [keyName or "*", old, new] -> ["ok"]: the key, or with "*" every key that the old passphrase opens,
 * is sealed anew. Keys under other passphrases stay as they are.
 */
export const changePassphrase = method({
  params: ['keyName', 'oldPassphrase', 'newPassphrase'],
  secret: ['oldPassphrase', 'newPassphrase'],
  schema: z.object({ keyName: name, oldPassphrase: secret, newPassphrase: secret }),
  changes: true,
  touches: ({ keyName }) => [keyName === EVERY ? EVERY_KEY : `key:${keyName}`],
  target: ({ keyName }) => (keyName === EVERY ? 'every key' : keyName),
  run: ({ keyName }, desk, call) => change(keyName === EVERY ? null : keyName, desk, call),
});

async function change(keyName: string | null, desk: Desk, { admin, secrets }: Call): Promise<Answer> {
  if (keyName !== null && !(await keyExists(desk, keyName))) return { ok: false, error: noSuchKey(keyName) };
  const { oldPassphrase: passphrase, newPassphrase } = secrets;
  if (passphrase === undefined || passphrase.length === 0) return { ok: false, error: 'the old passphrase is empty' };
  if (newPassphrase === undefined || newPassphrase.length === 0) {
    return { ok: false, error: 'the new passphrase is empty: give one' };
  }
  const who = keyName === null ? [`admin ${admin}`] : [`key ${keyName}`, `admin ${admin}`];
  const wait = desk.wrongPassphrases.wait(...who);
  if (wait > 0) {
    return { ok: false, error: `too many wrong passphrases: try again in ${Math.ceil(wait / 1000)} s`, passing: true };
  }
  const changed = await desk.unlockers.run(0, () => {
    const port = handOn({ passphrase, newPassphrase });
    return desk.main.ask('changePassphrase', { name: keyName, port }, { timeoutMs: CHANGE_MS, transfer: [port] });
  });
  if (!changed.ok) {
    if (changed.refusal === WRONG) desk.wrongPassphrases.failed(...who);
    return { ok: false, error: changed.refusal };
  }
  desk.wrongPassphrases.succeeded(...who);
  const { failed } = changed;
  if (failed.length === 0) return { ok: true, result: '["ok"]' };
  const named = failed.slice(0, NAMED).map(({ name, error }) => `${name} (${error})`);
  const more = failed.length > NAMED ? `, and ${failed.length - NAMED} more` : '';
  return { ok: false, error: `${changed.changed} keys have the new passphrase; not so ${named.join(', ')}${more}` };
}
