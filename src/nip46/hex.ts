/** Hex of public bytes (ids, public keys, signatures): both ways pass through Node's buffer pool, so no secret may. */
export function bytesToHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

/** @throws RangeError for anything but an even number of hex digits */
export function hexToBytes(hex: string): Uint8Array {
  const bytes = Buffer.from(hex, 'hex');
  // Node stops at the first character that is none, and leaves a last odd digit out.
  if (bytes.length * 2 !== hex.length) throw new RangeError('not hex');
  return new Uint8Array(bytes);
}
