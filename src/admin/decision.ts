import { kindText } from './methods/rule.ts';

/** What an admin says to a client's request. */
export type Decision =
  /** This one and the ones like it. `kind`: for sign_event; null for that of the request. */
  | { verdict: 'always' | 'never'; label: string | null; kind: string | null }
  | { verdict: 'once' }
  | { verdict: 'deny' };

const MOST_LABEL = 256;

/**
 * Reads the result of an admin's response to `acl`: `["always", description?, scope?]`, `["never", ...]`, `["once"]`, or
 * the JSON of one. Whatever else it is denies.
 */
export function readDecision(result: unknown): Decision {
  let given = result;
  try {
    // Written as JSON only to be read again, a number that is none would come back as null: no kind at all.
    if (typeof result === 'string') given = JSON.parse(result);
  } catch {
    return { verdict: 'deny' };
  }
  if (!Array.isArray(given)) return { verdict: 'deny' };
  const [verdict, label, scope] = given as unknown[];
  if (verdict === 'once') return { verdict };
  if (verdict !== 'always' && verdict !== 'never') return { verdict: 'deny' };
  const kind = scopeKind(scope);
  // A scope that cannot be read must not become a wider one.
  if (kind === undefined) return { verdict: 'deny' };
  const named = typeof label === 'string' && label.trim() !== '' ? label.trim().slice(0, MOST_LABEL) : null;
  return { verdict, label: named, kind };
}

/** `{"kind": n | "all"}`, `{}` or nothing: the kind as rules keep it, null for none, undefined for what is no scope. */
export function scopeKind(scope: unknown): string | null | undefined {
  if (scope === undefined || scope === null || scope === '') return null;
  if (typeof scope !== 'object' || Array.isArray(scope)) return undefined;
  return kindText((scope as { kind?: unknown }).kind);
}
