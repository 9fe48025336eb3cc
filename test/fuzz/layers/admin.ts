/** Admin requests: their parameters, and the secrets in them. */
import fc from 'fast-check';
import { nsecEncode } from 'nostr-tools/nip19';
import * as assert from 'uvu/assert';
import * as z from 'zod';
import { asSecret } from '../../../src/actor/protocol.ts';
import { methods } from '../../../src/admin/methods/index.ts';
import { readRequest, requestFingerprint, wipeRequest } from '../../../src/admin/params.ts';
import { looksLikeRpc } from '../../../src/nip46/request.ts';
import { bytesOf, CANARY, CANARY_KEY, hasTrace, type Layer, textOf } from '../layer.ts';
import { mutatedJson, rawText } from '../mutate.ts';
import { depthOf, naiveJson } from './naive-json.ts';

const nsec = nsecEncode(Buffer.from(CANARY_KEY, 'hex'));
const pubkey = 'ab'.repeat(32);
const rule = { method: 'sign_event', kind: 1, use_count: '3', expires_at: '2027-01-31T12:00:00Z' };
const uri = `nostrconnect://${pubkey}?relay=wss%3A%2F%2Fr.example&secret=${CANARY}`;

export const ADMIN_REQUESTS: [method: string, params: unknown[]][] = [
  ['unlock_key', ['key', CANARY]],
  ['create_new_key', ['key', CANARY, nsec, CANARY]],
  ['create_new_key', ['key', CANARY, CANARY_KEY]],
  ['change_passphrase', ['key', CANARY, CANARY]],
  ['unlock_keys', [JSON.stringify({ passphrase: CANARY })]],
  ['unlock_keys', [{ passphrases: { one: CANARY, two: CANARY } }]],
  [
    'pair',
    [JSON.stringify({ key: 'k', client_name: 'c', policy: 'p', relays: ['wss://r.example'], passphrase: CANARY })],
  ],
  ['pair', [{ key: 'k', client_name: 'c', policy: 'p', expires_in_hours: '1.5', pasphrase: CANARY, revoke_old: true }]],
  ['unlock_kye', ['key', CANARY]],
  ['connect_client', [uri, 'key', '1']],
  ['create_new_policy', [JSON.stringify({ name: 'p', description: null, rules: [rule, { method: 'ping' }] })]],
  ['create_new_token', ['key', 'client', '1', '24']],
  ['issue_token', [{ key: 'key', client_name: 'c', policy_id: 1 }]],
  ['add_policy_rule', [1, 'sign_event', 'all', 5]],
  ['add_policy_rule', ['1', JSON.stringify(rule)]],
  ['add_signing_condition', ['1', 'sign_event', '1', 'true']],
  ['rename_key_user', [pubkey, 'name', 'key']],
  ['get_audit', [JSON.stringify({ key: 'key', limit: 5 }), { offset: '0', limit: '10', details: true }]],
  ['get_key_users', ['key', { offset: 1 }]],
  ['approve_request', ['1', { kind: 1 }]],
  ['get_status', []],
];

const request = z.object({
  id: z.union([z.string().max(256), z.number(), z.literal([Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])]),
  method: z.string().min(1),
});
const fingerprintKey = asSecret(new Uint8Array(32).fill(1));
const secretsOf = (name: string) => methods.get(name)?.secret ?? null;

export const adminRequests: Layer = {
  name: 'admin request',
  inputs: fc.oneof(
    {
      weight: 9,
      arbitrary: mutatedJson(ADMIN_REQUESTS.map(([method, params], i) => ({ id: `id ${i}`, method, params }))),
    },
    { weight: 1, arbitrary: rawText },
  ),
  judge(input) {
    const bytes = bytesOf(input);
    const read = readRequest(bytes, secretsOf);
    if (read === null) return { outcome: 'no request', said: [], size: 0 };
    assert.ok(looksLikeRpc(textOf(bytes)), 'what is an admin request may be decrypted for a client');
    const kept = JSON.stringify([read.id, read.method, read.params]);
    assert.ok(!hasTrace(kept) || hasTrace(openText(textOf(bytes))), 'a secret has become a string');
    assert.is(requestFingerprint(fingerprintKey, pubkey, read).length, 64);
    const size = kept.length + read.secrets.reduce((sum, { bytes }) => sum + bytes.length, 0);
    const prepared = methods.get(read.method)?.prepare(read.params, read.secrets);
    wipeRequest(read);
    assert.ok(read.secrets.every(({ bytes }) => bytes.every((byte) => byte === 0)));
    if (prepared === undefined) return { outcome: 'accepted', said: [], size };
    const said = 'invalid' in prepared ? [prepared.invalid] : [];
    return { outcome: 'accepted', said, size };
  },
  isValid: (input) => {
    const value = naiveJson(bytesOf(input));
    return value !== undefined && depthOf(textOf(bytesOf(input))) <= 64 && request.safeParse(value).success;
  },
};

/** What of a request is no secret, read without any care. */
function openText(text: string): string {
  const { id, method, params } = JSON.parse(text) as { id: unknown; method: string; params: unknown };
  const secret = secretsOf(method);
  if (secret === null || !Array.isArray(params)) return JSON.stringify([id, method]);
  const open = params.map((param: unknown, i) => {
    const kept = secret.find(({ index }) => index === i);
    if (kept === undefined) return param;
    if (kept.open === null) return null;
    const value = typeof param === 'string' ? (naiveJson(Buffer.from(param)) ?? null) : param;
    if (typeof value !== 'object' || value === null) return null;
    // The names of members are no secrets; their values are, but for those that the method knows.
    return Object.entries(value).map(([name, member]) =>
      kept.open!.includes(name) ? [name, member] : namesIn([name, member]),
    );
  });
  return JSON.stringify([id, method, open]);
}

function namesIn([name, value]: [string, unknown]): unknown {
  const inner = typeof value === 'object' && value !== null ? Object.entries(value).map(namesIn) : null;
  return [name, inner];
}
