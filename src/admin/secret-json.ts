import { newSecret, type Secret, wipe } from '../actor/protocol.ts';
import { encodeJsonString } from './json-string.ts';

/** JSON text of an object some of whose members are secrets, without ever making them strings; for the caller to wipe. */
export function secretJson(open: object, secrets: { readonly [member: string]: Secret }): Secret {
  const encoder = new TextEncoder();
  const before = JSON.stringify(open).slice(0, -1);
  const values = Object.values(secrets).map(encodeJsonString);
  const parts: Uint8Array[] = [encoder.encode(before)];
  for (const [i, member] of Object.keys(secrets).entries()) {
    const comma = i > 0 || before.length > 1 ? ',' : '';
    parts.push(encoder.encode(`${comma}${JSON.stringify(member)}:`), values[i]!);
  }
  parts.push(encoder.encode('}'));
  const whole = newSecret(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  wipe(...values);
  return whole;
}
