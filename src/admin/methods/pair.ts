import * as z from 'zod/mini';
import type { Secret } from '../../actor/protocol.ts';
import type { Outcome, Pairing, TokenRow } from '../../policy/protocol.ts';
import { bunkerUrl } from '../bunker-url.ts';
import type { Desk } from '../desk.ts';
import { makeKey } from '../make-key.ts';
import { npubEncode } from '../npub.ts';
import { seedUrl } from '../seed-url.ts';
import { hours, json, name, newKeyName, secret, text } from './fields.ts';
import { notYetUnlocked } from './known-key.ts';
import { type Call, method } from './method.ts';
import { iso } from './rows.ts';

const HOUR_MS = 3_600_000;

/** Of all relays as they stand in a URL. The answer has them in two, one within base64, and must fit into NIP-44. */
const RELAYS_LONGEST = 12_288;

// Neither a control character nor half a surrogate pair belongs in a URL.
const relayUrl = z
  .string('must be text')
  .check(
    z.maxLength(1024, 'is too long'),
    z.regex(/^wss?:\/\/[^\s,\p{Cc}\p{Cs}]+$/u, 'must start with wss:// or ws://'),
  );
const relayUrls = z.array(relayUrl, 'must be a list of relay URLs').check(
  z.maxLength(50, 'is a longer list than 50'),
  z.refine(
    (relays) => encodeURIComponent(relays.join('').toWellFormed()).length <= RELAYS_LONGEST,
    'are too long together: 12288 characters at most, as they stand in a URL',
  ),
);

const shape = {
  key: name,
  client_name: text,
  policy: name,
  relays: z.optional(z.nullable(relayUrls)),
  expires_in_hours: z.optional(hours),
  passphrase: z.optional(z.nullable(secret)),
  revoke_old: z.optional(z.nullable(z.boolean('must be true or false'))),
};

/**
 * `pair` [JSON {key, client_name, policy, relays?, expires_in_hours?, passphrase?, revoke_old?}] -> {"npub", "pubkey",
 * "key", "token_id", "bunker_url", "seed_url", "expires_at"}; the key is made when there is none of that name.
 */
export const pair = method({
  params: ['options'],
  open: { options: Object.keys(shape).filter((member) => member !== 'passphrase') },
  schema: z.object({
    options: json(
      z.object(
        shape,
        'must be JSON {"key", "client_name", "policy", "relays"?, "expires_in_hours"?, "passphrase"?, "revoke_old"?}',
      ),
    ),
  }),
  changes: true,
  touches: ({ options }) => [`key:${options.key}`, 'policies'],
  target: ({ options }) => options.key,
  run: async ({ options }, desk, call) => {
    const { key, client_name: clientName, policy, expires_in_hours: inHours } = options;
    const pairing: Pairing = {
      policy,
      clientName,
      expiresAt: inHours === undefined ? null : desk.clock.now() + Math.ceil(inHours * HOUR_MS),
      createdBy: call.admin,
      revokeOld: options.revoke_old === true,
    };
    const row = await desk.policy.ask('findKey', { name: key });
    if (row !== null && row.deletedAt !== null) {
      return { ok: false, error: `a key named "${key}" was deleted: its name is free once it is purged` };
    }
    if (row?.pubkey === '') return { ok: false, error: notYetUnlocked(key) };
    const paired =
      row === null
        ? await pairNewKey(desk, call, key, pairing, call.secrets['options.passphrase'])
        : await pairKey(desk, key, pairing);
    if (!paired.ok) return { ok: false, error: paired.refusal };

    const { id, secret, keyPubkey, expiresAt } = paired.value;
    const relays = [...(options.relays?.length ? options.relays : desk.settings.relays)].sort();
    const pubkey = keyPubkey!;
    const url = bunkerUrl(pubkey, relays, secret);
    const result = {
      npub: npubEncode(pubkey),
      pubkey,
      key,
      token_id: id,
      bunker_url: url,
      seed_url: seedUrl(pubkey, url, relays),
      expires_at: iso(expiresAt),
    };
    return { ok: true, result: JSON.stringify(result) };
  },
});

async function pairKey(desk: Desk, keyName: string, pairing: Pairing): Promise<Outcome<TokenRow>> {
  const paired = await desk.policy.ask('pair', { keyName, pairing });
  return paired.ok ? { ok: true, value: paired.value.token } : paired;
}

async function pairNewKey(
  desk: Desk,
  { mark, leave }: Call,
  key: string,
  pairing: Pairing,
  passphrase: Secret | undefined,
): Promise<Outcome<TokenRow>> {
  const unfit = z.safeParse(newKeyName, key).error?.issues[0]?.message;
  if (unfit !== undefined) return { ok: false, refusal: `Invalid params: options.key ${unfit}` };
  if (passphrase === undefined || passphrase.length === 0) {
    return { ok: false, refusal: `Invalid params: options.passphrase is missing, and no key is named "${key}" yet` };
  }
  const fit = await desk.policy.ask('checkPairing', pairing);
  if (!fit.ok) return fit;

  leave();
  const made = await makeKey(desk, mark, key, { passphrase }, pairing);
  if (!made.ok) return made;
  const token = (await desk.policy.ask('listTokens', { keyName: key })).at(-1);
  return token === undefined ? { ok: false, refusal: 'the token was revoked already' } : { ok: true, value: token };
}
