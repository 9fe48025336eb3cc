import * as z from 'zod/mini';
import { firstFew } from '../../first-few.ts';
import { handOn } from '../../keystore/passphrase-port.ts';
import { type ChangeResult, WRONG } from '../../keystore/protocol.ts';
import type { Answer } from '../answer.ts';
import type { Desk } from '../desk.ts';
import { EVERY_KEY } from '../queue.ts';
import { name, secret } from './fields.ts';
import { keyExists, noSuchKey } from './known-key.ts';
import { type Call, method } from './method.ts';

/** A thousand derivations, and ten thousand files that are replaced one by one, each durably. */
const CHANGE_MS = 1_200_000;
const EVERY = '*';

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
    return { ok: false, error: `${changed.refusal}${untriedText(changed)}` };
  }
  desk.wrongPassphrases.succeeded(...who);
  const { failed, untried = 0 } = changed;
  if (failed.length + untried === 0) return { ok: true, result: '["ok"]' };
  const not = failed.length > 0 ? `; not so ${firstFew(failed, ({ name, error }) => `${name} (${error})`)}` : '';
  return { ok: false, error: `${changed.changed} keys have the new passphrase${not}${untriedText(changed)}` };
}

function untriedText({ untried = 0 }: ChangeResult): string {
  if (untried === 0) return '';
  return `; ${untried} keys were not tried, for the keystore has too many passphrases: change them by their names`;
}
