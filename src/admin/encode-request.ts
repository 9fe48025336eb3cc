import { newSecret, type Secret, wipe } from '../actor/protocol.ts';
import { encodeJsonString } from './json-string.ts';

/** A parameter of an admin request; bytes are the text of a secret. */
export type Param = string | number | null | Secret;

/** The plaintext of an admin request, `{"id", "method", "params"}`, for the caller to wipe. */
export function encodeRequest(id: string, method: string, params: readonly Param[]): Secret {
  const encoder = new TextEncoder();
  const made: Uint8Array[] = [];
  const parts: Uint8Array[] = [
    encoder.encode(`{"id":${JSON.stringify(id)},"method":${JSON.stringify(method)},"params":[`),
  ];
  for (const [i, param] of params.entries()) {
    if (i > 0) parts.push(encoder.encode(','));
    const text = param instanceof Uint8Array ? encodeJsonString(param) : encoder.encode(JSON.stringify(param));
    made.push(text);
    parts.push(text);
  }
  parts.push(encoder.encode(']}'));
  const whole = newSecret(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  wipe(...made);
  return whole;
}
