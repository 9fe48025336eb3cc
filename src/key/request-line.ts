import type { LogLine } from '../policy/protocol.ts';
import type { Incoming } from '../relay/protocol.ts';
import type { Outcome } from './protocol.ts';

/** The end of one request, for the log. `request` is the id of the event that carried it, as in the audit log. */
export function requestLine(key: string, request: Incoming, method: string, outcome: Outcome, ms: number): LogLine {
  const { head, from } = request;
  const fields = { request: head.id, key, client: head.pubkey, from: from.split('?', 1)[0]!, method, outcome };
  return { level: 'debug', message: 'request', fields: { ...fields, ms: Math.round(ms * 100) / 100 }, module: 'key' };
}
