/** What is encrypted, and what is read once it is decrypted. */
import { createDecipheriv } from 'node:crypto';
import fc from 'fast-check';
import * as nostrTools from 'nostr-tools/nip44';
import * as assert from 'uvu/assert';
import * as z from 'zod';
import { asSecret } from '../../../src/actor/protocol.ts';
import { readDecision } from '../../../src/admin/decision.ts';
import { readResponse } from '../../../src/admin/params.ts';
import { CipherError } from '../../../src/nip46/cipher-error.ts';
import * as nip04 from '../../../src/nip46/nip04.ts';
import * as nip44 from '../../../src/nip46/nip44.ts';
import { looksLikeRpc, parseRequest } from '../../../src/nip46/request.ts';
import { forgeNip44 } from '../../support/forge-nip44.ts';
import { bytesOf, CANARY, CANARY_KEY, type Input, type Judged, type Layer, textOf } from '../layer.ts';
import { mutatedBytes, mutatedJson, mutatedText, rawText } from '../mutate.ts';
import { TEMPLATE } from './wire.ts';

const key = asSecret(Buffer.from(CANARY_KEY, 'hex'));
/** Characters of a payload. */
const MAX_PAYLOAD = 20_000;
/** From here on NIP-44 writes a length in six bytes, which only payloads beyond MAX_PAYLOAD have any use for. */
const LONG = 65_536;

function judgeCipher(open: () => Uint8Array): Judged {
  try {
    return { outcome: 'accepted', said: [], size: open().length };
  } catch (error) {
    // Anything else is a fault of ours.
    if (!(error instanceof CipherError)) throw error;
    return { outcome: error.refusal, said: [error.message, String(error.stack)], size: 0 };
  }
}

/** A plaintext behind its length, padded: the length and the padding are what is changed. */
function padded(plaintext: string): Buffer {
  const bytes = Buffer.alloc(2 + nip44.paddedLength(plaintext.length));
  bytes.writeUInt16BE(plaintext.length);
  bytes.write(plaintext, 2);
  return bytes;
}

function longForm(length: number, size: number): Buffer {
  const bytes = Buffer.alloc(6 + size, 'x');
  bytes.writeUIntBE(length, 0, 6);
  return bytes;
}

const nip44Payloads: Layer = {
  name: 'NIP-44 payload',
  inputs: fc.oneof(
    { weight: 4, arbitrary: mutatedText([1, 32, 33, 500].map((n) => nip44.encrypt('x'.repeat(n), key))) },
    {
      weight: 3,
      arbitrary: mutatedBytes([padded(CANARY), padded('x'.repeat(300)), longForm(32, 32), longForm(LONG, 320)]).map(
        (bytes) => forgeNip44(key, bytes.subarray(0, 1_000)),
      ),
    },
    {
      weight: 2,
      arbitrary: mutatedBytes([Buffer.from(nip44.encrypt(CANARY, key), 'base64')]).map((b) => b.toString('base64')),
    },
    { weight: 1, arbitrary: rawText },
  ),
  judge: (input) => judgeCipher(() => nip44.decrypt(textOf(input), key, MAX_PAYLOAD)),
  isValid(input) {
    try {
      nostrTools.decrypt(textOf(input), key);
      return textOf(input).length <= MAX_PAYLOAD;
    } catch {
      return false;
    }
  },
};

const nip04Payloads: Layer = {
  name: 'NIP-04 payload',
  inputs: fc.oneof(
    { weight: 5, arbitrary: mutatedText([CANARY, 'x', 'x'.repeat(500)].map((text) => nip04.encrypt(text, key))) },
    {
      weight: 4,
      arbitrary: fc
        .tuple(mutatedBytes([new Uint8Array(16), new Uint8Array(64)]), mutatedBytes([new Uint8Array(16).fill(9)]))
        .map(([text, iv]) => `${text.toString('base64')}?iv=${iv.toString('base64')}`),
    },
    { weight: 1, arbitrary: rawText },
  ),
  judge: (input) => judgeCipher(() => nip04.decrypt(textOf(input), key, MAX_PAYLOAD)),
  isValid(input) {
    const [, text, iv] = /^([A-Za-z0-9+/]*={0,2})\?iv=([A-Za-z0-9+/]{22}==)$/.exec(textOf(input)) ?? [];
    if (text === undefined || iv === undefined || textOf(input).length > MAX_PAYLOAD) return false;
    if (![text, iv].every((part) => Buffer.from(part, 'base64').toString('base64') === part)) return false;
    try {
      const decipher = createDecipheriv('aes-256-cbc', key, Buffer.from(iv, 'base64'));
      // AES-CBC of nothing has no padding to be right.
      return Buffer.concat([decipher.update(Buffer.from(text, 'base64')), decipher.final()]).length >= 0;
    } catch {
      return false;
    }
  },
};

const idOf = z.union([z.string().min(1).max(256), z.number(), z.literal(Number.POSITIVE_INFINITY)]);
const request = z.object({
  id: idOf,
  method: z.string().min(1),
  params: z.array(z.string().nullable()).max(16).nullish(),
});

const REQUESTS = [
  { id: 'a1', method: 'sign_event', params: [JSON.stringify(TEMPLATE)] },
  { id: 7, method: 'connect', params: ['ab'.repeat(32), CANARY, 'sign_event:1', '{"name":"x"}'] },
  { id: 'b', method: 'nip44_decrypt', params: ['ab'.repeat(32), 'text', null] },
  { id: 'c', method: 'ping' },
];

const requests: Layer = {
  name: 'JSON-RPC request',
  inputs: fc.oneof({ weight: 9, arbitrary: mutatedJson(REQUESTS) }, { weight: 1, arbitrary: rawText }),
  judge(input) {
    const text = textOf(input);
    // As the envelope reads bytes: it takes a byte order mark off.
    const read = parseRequest(text.replace(/^\ufeff/, ''));
    if (read === null) return { outcome: 'no request', said: [], size: 0 };
    assert.ok(looksLikeRpc(text), 'what is a request for us may be decrypted for a client');
    const size = JSON.stringify(read).length;
    if ('error' in read) return { outcome: read.error, said: [read.error], size };
    return { outcome: 'accepted', said: [], size };
  },
  isValid: (input) => {
    try {
      return request.safeParse(JSON.parse(textOf(input).replace(/^\ufeff/, ''))).success;
    } catch {
      return false;
    }
  },
};

const decisions: Layer = {
  name: "an admin's answer",
  inputs: fc.oneof(
    {
      weight: 9,
      arbitrary: mutatedJson(
        [['always', 'label', { kind: 1 }], ['never', null, { kind: 'all' }], ['once']].flatMap((result) => [
          { id: '1', result: JSON.stringify(result) },
          { id: '1', result },
        ]),
      ),
    },
    { weight: 1, arbitrary: rawText },
  ),
  judge(input) {
    const response = readResponse(bytesOf(input));
    if (response === null) return { outcome: 'no response', said: [], size: 0 };
    const decision = readDecision(response.result);
    const size = JSON.stringify(decision).length;
    return decision.verdict === 'deny'
      ? { outcome: 'denies', said: [], size }
      : { outcome: 'accepted', said: [], size };
  },
  isValid: (input) => allows(input),
};

const scope = z
  .union([z.literal(''), z.object({ kind: z.union([z.int().min(0).max(65_535), z.string(), z.null()]).optional() })])
  .nullish();
const verdictOf = z.union([
  z.tuple([z.literal('once')]).rest(z.unknown()),
  z.tuple([z.enum(['always', 'never'])]),
  z.tuple([z.enum(['always', 'never']), z.unknown()]),
  z.tuple([z.enum(['always', 'never']), z.unknown(), scope]).rest(z.unknown()),
]);
const response = z.object({ id: z.string().max(256), method: z.undefined().optional(), result: z.unknown() });
const KIND = /^(|all|\d{1,4}|[0-5]\d{4}|6[0-4]\d{3}|65[0-4]\d\d|655[0-2]\d|6553[0-5])$/;

/** Straight from docs/ADMIN.md: what is not one of the three words, with a scope that can be read, allows nothing. */
function allows(input: Input): boolean {
  try {
    const text = new TextDecoder().decode(bytesOf(input));
    const read = response.safeParse(JSON.parse(text));
    if (!read.success) return false;
    const { result } = read.data;
    const given = verdictOf.safeParse(typeof result === 'string' ? JSON.parse(result) : result);
    if (!given.success) return false;
    if (given.data[0] === 'once') return true;
    const kind = (given.data[2] as { kind?: unknown } | null | undefined | '') || {};
    return typeof kind.kind !== 'string' || KIND.test(kind.kind);
  } catch {
    return false;
  }
}

export const MESSAGES: readonly Layer[] = [nip44Payloads, nip04Payloads, requests, decisions];
