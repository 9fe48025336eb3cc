/** Bytes that scrypt works on at r = 8, p = 1; the unlock pool's budget counts them. */
export function derivationBytes(logN: number): number {
  return 128 * 8 * 2 ** logN;
}
