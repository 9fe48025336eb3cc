import { type ChangeResult, WRONG } from './protocol.ts';

/**
 * What came of a change that was made in parts: a passphrase is wrong when it is for no part of it.
 *
 * @param untried how many keys no part was made for
 */
export function changedTogether(parts: readonly ChangeResult[], untried: number): ChangeResult {
  const more = untried > 0 ? { untried } : {};
  const done = parts.filter((part) => part.ok);
  const refusals = parts.filter((part) => !part.ok).map((part) => part.refusal);
  const refusal = refusals.find((why) => why !== WRONG) ?? (done.length === 0 ? WRONG : null);
  if (refusal !== null) return { ok: false, refusal, ...more };
  // A file that cannot be read is named by each part.
  const failed = new Map(done.flatMap((part) => part.failed).map((key) => [key.name, key]));
  const changed = done.reduce((sum, part) => sum + part.changed, 0);
  return { ok: true, changed, failed: [...failed.values()], ...more };
}
