import type { NewRule } from './protocol.ts';

const CIPHERS = ['nip44_encrypt', 'nip44_decrypt', 'nip04_encrypt', 'nip04_decrypt'];

/** Policies that pairing knows by name: it makes them when they are missing. docs/PAIRING.md */
export const READY_MADE: ReadonlyMap<string, readonly NewRule[]> = new Map([
  ['spirekeeper-spire', rules([21000, 21001, 21002, 21003, 30078], ['nip44_encrypt', 'nip44_decrypt'])],
  ['lnbits-account', rules(['all'], CIPHERS)],
  // NIP-85: assertions, the list of who is trusted to make them, and who the service is.
  ['satrank', rules([30382, 30383, 30384, 30385, 10040, 0, 1], [])],
  ['atm-21000', rules([21000], [])],
]);

function rules(kinds: readonly (number | 'all')[], methods: readonly string[]): NewRule[] {
  const free = { maxUsageCount: null, maxUsagePerToken: null, expiresAt: null };
  return [
    ...kinds.map((kind) => ({ method: 'sign_event', kind: String(kind), ...free })),
    ...methods.map((method) => ({ method, kind: null, ...free })),
  ];
}
