/** What may happen to one key, its clients and their rules, for fast-check to make sequences of. */
import fc from 'fast-check';
import { hex } from '../policy/rig.ts';

export const NOT_IN_ALL = [22242, 62];
export const CLIENTS = [hex('a'), hex('b'), hex('c')];
export const RESERVED = hex('admin');
const METHODS = ['sign_event', 'nip44_encrypt', 'nip44_decrypt', 'nip04_decrypt', 'ping', 'get_relays'];
const HOUR = 3_600_000;

/** Values with how often each comes. */
const often = <T>(...of: [value: T, weight: number][]) =>
  fc.oneof(...of.map(([value, weight]) => ({ weight, arbitrary: fc.constant(value) })));

const client = often([CLIENTS[0]!, 4], [CLIENTS[1]!, 2], [CLIENTS[2]!, 1]);
const method = fc.oneof(
  { weight: 3, arbitrary: fc.constant('sign_event') },
  { weight: 2, arbitrary: fc.constantFrom(...METHODS) },
);
const kind = often([1, 8], [4, 3], [62, 1], [22242, 1], [24133, 1], [24134, 1]);
const storedKind = often<string | null>(
  [null, 2],
  ['all', 2],
  ['1', 5],
  ['4', 2],
  ['62', 1],
  ['24133', 1],
  ['24134', 1],
);
const storedMethod = fc.constantFrom('sign_event', 'sign_event', 'encrypt', 'decrypt', 'nip44_decrypt');
const limit = often<number | null>([null, 4], [0, 1], [1, 3], [2, 3], [3, 1]);
/** ms from now */
const lasts = often<number | null>([null, 8], [1, 1], [3, 1], [6, 1], [12, 1], [HOUR + 5, 1]);
const index = fc.nat({ max: 20 });

const request = fc.record({
  type: often<'decide' | 'connect' | 'logout'>(['decide', 24], ['connect', 5], ['logout', 1]),
  client,
  method,
  kind,
  peer: often<string | null>([CLIENTS[0]!, 1], [CLIENTS[1]!, 1], [RESERVED, 1], [hex('somebody'), 6], [null, 1]),
  /** A token by its place; none; or one that nobody knows. */
  token: fc.oneof(index, index, fc.constantFrom(null, 'unknown')),
  /** A pass by its place, or none. */
  pass: fc.oneof({ weight: 4, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: index }),
  /** Whether it is what the pass is for. */
  fits: often([true, 3], [false, 1]),
  final: fc.boolean(),
  /** How it is like an earlier request of this sequence. */
  like: often(['none', 12], ['envelope', 1], ['body', 2], ['again', 1], ['recheck', 2]),
  earlier: index,
});
const rule = fc.record({ method: storedMethod, kind: storedKind, max: limit, perToken: limit, lasts });

/** An invitation, with the policy that it grants. */
const invitation = { rules: fc.array(rule, { maxLength: 3 }), lasts, policyLasts: lasts };
/** By an admin's command, or by another program that writes to the file. */
const by = fc.constantFrom('admin' as const, 'file' as const);
const AT = ['revokeToken', 'revokeUser', 'deletePolicy', 'deleteRule', 'removeCondition', 'rename'] as const;
const what = <T extends string>(name: T) => fc.constant(name);

const action = fc.oneof(
  {
    weight: 24,
    arbitrary: fc.record({ do: what('batch'), requests: fc.array(request, { minLength: 1, maxLength: 4 }) }),
  },
  { weight: 4, arbitrary: fc.record({ do: what('pair'), client, ...invitation }) },
  { weight: 4, arbitrary: fc.record({ do: what('token'), ...invitation }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: what('condition'),
      by,
      client,
      method: often<string | null>(['*', 1], [null, 1], ['sign_event', 9], ['decrypt', 4], ['ping', 1], ['connect', 1]),
      kind: storedKind,
      allowed: fc.boolean(),
      lasts,
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: what('advance'), ms: fc.integer({ min: 1, max: 4 }) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: what('setClock'), ms: fc.constantFrom(-24 * HOUR, -HOUR, -2, HOUR, 24 * HOUR) }),
  },
  { weight: 3, arbitrary: fc.record({ do: what('pass'), client, method, kind }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: what('approval'),
      client,
      method: often(['sign_event', 5], ['connect', 2], ['nip44_encrypt', 1], ['nip44_decrypt', 1]),
      kind: fc.constantFrom('1', '4', 'all'),
      allowed: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: what('addRule'), by, at: index, rule }) },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constantFrom(...AT),
      by,
      at: index,
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: what('reset'), at: index }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('deleteKey' as const, 'purgeKey' as const), by }) },
  { weight: 1, arbitrary: fc.record({ do: what('sleep') }) },
);
/** Opening a database takes as long as some hundred requests: it comes seldom. */
const restart = fc.record({ do: what('restart') });

export type Wanted = Of<typeof request>;
export type WantedRule = Of<typeof rule>;
type Of<T> = T extends fc.Arbitrary<infer U> ? U : never;
export type Step = Of<typeof action> | Of<typeof restart>;

const first = fc.record({ rules: fc.array(rule, { minLength: 1, maxLength: 4 }), lasts, policyLasts: lasts });
const body = fc.array(action, { maxLength: 30, size: 'max' });
const steps = fc.oneof(
  { weight: 11, arbitrary: body },
  { weight: 1, arbitrary: fc.tuple(body, restart, body).map(([one, two, three]) => [...one, two, ...three] as Step[]) },
);

/** Two clients that are paired, and what happens then. */
export const sequence: fc.Arbitrary<Step[]> = fc
  .tuple(first, first, steps)
  .map(([one, two, rest]) => [
    { do: 'pair', client: CLIENTS[0]!, ...one },
    { do: 'pair', client: CLIENTS[1]!, ...two },
    ...rest,
  ]);
