/**
 * Decodes base64 (RFC 4648 4, padded) into `target` at `offset`; the number of bytes, or -1 when `text` is anything
 * but the one way to write them. Node's decoder skips what it does not know and takes other alphabets, so the bytes
 * are encoded again and compared: half a microsecond for a kilobyte.
 */
export function decodeBase64(text: string, target: Buffer, offset: number): number {
  const length = target.write(text, offset, 'base64');
  return target.toString('base64', offset, offset + length) === text ? length : -1;
}
