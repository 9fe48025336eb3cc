import type { Outcome } from '../../policy/protocol.ts';
import type { Answer } from '../answer.ts';

/** A command's outcome as the answer of a method that has nothing else to tell. */
export function done(outcome: Outcome<unknown>): Answer {
  return outcome.ok ? { ok: true, result: '["ok"]' } : { ok: false, error: outcome.refusal };
}
