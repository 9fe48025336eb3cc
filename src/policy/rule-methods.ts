/** What a rule of a policy may name: the NIP-46 methods, and nsecbunkerd's two for both ciphers. docs/POLICY.md */
export const RULE_METHODS = [
  'sign_event',
  'nip44_encrypt',
  'nip44_decrypt',
  'nip04_encrypt',
  'nip04_decrypt',
  'encrypt',
  'decrypt',
  'connect',
  'get_public_key',
  'ping',
  'switch_relays',
  'get_relays',
  'logout',
  'disconnect',
] as const;
