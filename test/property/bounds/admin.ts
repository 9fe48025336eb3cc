/** Bounds of admin requests and of the answers to them (docs/ADMIN.md). */
import { answerText } from '../../../src/admin/answer.ts';
import { readDecision } from '../../../src/admin/decision.ts';
import { methods } from '../../../src/admin/methods/index.ts';
import { readRequest } from '../../../src/admin/params.ts';
import type { Bound } from './bound.ts';

function takes(method: string, ...params: unknown[]): boolean {
  const document = Buffer.from(JSON.stringify({ id: '1', method, params }));
  const read = readRequest(document, (name) => methods.get(name)?.secret ?? null);
  return read !== null && !('invalid' in methods.get(method)!.prepare(read.params, read.secrets));
}

const request = (document: string) => readRequest(Buffer.from(document), () => []) !== null;
const pairing = (change: object) => takes('pair', { key: 'k', client_name: 'c', policy: 'p', ...change });
const policy = (change: object) => takes('create_new_policy', { name: 'p', rules: [{ method: 'ping' }], ...change });
const rule = (change: object) => policy({ rules: [{ method: 'sign_event', kind: 1, ...change }] });
const x = (n: number) => 'x'.repeat(n);
/** A relay of so many characters as they stand in a URL, where `://` is nine. */
const relayOf = (n: number) => 'wss://'.padEnd(n - 6, 'x');

export const ADMIN: readonly Bound[] = [
  { what: 'request id of an admin', limit: 256, passes: (n) => request(`{"id":"${x(n)}","method":"ping"}`) },
  {
    what: 'depth of a request',
    limit: 64,
    passes: (n) => request(`{"id":"1","method":"ping","params":${'['.repeat(n - 1)}${']'.repeat(n - 1)}}`),
  },
  { what: 'name of a new key', limit: 128, passes: (n) => takes('create_new_key', x(n), 'pass') },
  { what: 'name of a new key, least', limit: 1, least: true, passes: (n) => takes('create_new_key', x(n), 'pass') },
  { what: 'name of a key', limit: 256, passes: (n) => takes('lock_key', x(n)) },
  { what: 'name of a policy', limit: 256, passes: (n) => policy({ name: x(n) }) },
  { what: 'description of a policy', limit: 1_024, passes: (n) => policy({ description: x(n) }) },
  { what: 'rules of a policy', limit: 500, passes: (n) => policy({ rules: Array(n).fill({ method: 'ping' }) }) },
  { what: 'kind of a rule', limit: 65_535, passes: (kind) => rule({ kind }) },
  { what: 'uses of a rule, least', limit: 1, least: true, passes: (n) => rule({ use_count: n }) },
  { what: 'uses of a rule', limit: Number.MAX_SAFE_INTEGER, passes: (n) => rule({ use_count: n }) },
  { what: 'end of a rule (ms)', limit: 8.64e15, passes: (n) => rule({ expires_at: n }) },
  { what: "a client's name", limit: 1_024, passes: (n) => pairing({ client_name: x(n) }) },
  { what: 'relays of a pairing', limit: 50, passes: (n) => pairing({ relays: Array(n).fill('wss://r.example') }) },
  { what: 'relay of a pairing', limit: 1_024, passes: (n) => pairing({ relays: ['wss://'.padEnd(n, 'x')] }) },
  {
    what: 'relays of a pairing, together as a URL has them',
    limit: 12_288,
    passes: (n) => pairing({ relays: [...Array(12).fill(1_000), n - 12_000].map(relayOf) }),
  },
  { what: 'hours of a pairing', limit: 876_000, passes: (n) => pairing({ expires_in_hours: n }) },
  {
    what: 'names of an unlock',
    limit: 10_000,
    passes: (n) =>
      takes('unlock_keys', { passphrases: Object.fromEntries(Array.from({ length: n }, (_, i) => [`k${i}`, 'pass'])) }),
  },
  { what: 'rows of the audit log', limit: 1_000, passes: (limit) => takes('get_audit', { limit }) },
  { what: 'rows of a list, least', limit: 1, least: true, passes: (limit) => takes('get_keys', { limit }) },
  { what: 'first row of a list, least', limit: 0, least: true, passes: (offset) => takes('get_keys', { offset }) },
  {
    what: 'answer over NIP-44 (bytes)',
    limit: 65_535,
    passes(n) {
      const around = JSON.stringify({ id: '1', result: '' }).length;
      return !answerText('1', 'ping', { ok: true, result: x(n - around) }, 'nip44').includes('longer than');
    },
  },
  {
    what: "description in an admin's answer",
    limit: 256,
    passes(n) {
      const decision = readDecision(JSON.stringify(['always', x(n)]));
      return decision.verdict === 'always' && decision.label?.length === n;
    },
  },
];
