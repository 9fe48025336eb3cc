/** Longest challenge of a relay (NIP-42) that is signed, bytes of UTF-8. */
export const MAX_CHALLENGE = 256;
