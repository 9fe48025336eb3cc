/** Why a payload was not decrypted, or a plaintext not encrypted; the text is the whole error. */
export type CipherRefusal =
  | 'payload too long'
  | 'invalid payload length'
  | 'unknown encryption version'
  | 'invalid base64'
  | 'invalid MAC'
  | 'invalid padding'
  | 'invalid plaintext length'
  | 'missing iv'
  | 'invalid iv';

/** Names the refusal, and nothing of what was refused. */
export class CipherError extends Error {
  readonly refusal: CipherRefusal;

  constructor(refusal: CipherRefusal) {
    super(refusal);
    this.name = 'CipherError';
    this.refusal = refusal;
  }
}
