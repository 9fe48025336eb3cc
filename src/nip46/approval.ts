import { createHash } from 'node:crypto';
import type { Asking, Decision, GrantedMethod } from '../policy/protocol.ts';
import type { Call, Office } from './methods.ts';

/** Asked again after an admin's rule for another request; each time that rule may leave this one open. */
const MOST_QUESTIONS = 4;
/** Characters of a template that an admin is shown: the question must fit in what clients can decrypt. */
const MOST_SHOWN = 16_384;

/** What the admins are shown of a request. */
export interface Shown {
  method: GrantedMethod | 'connect';
  /** Of the event to be signed; null for other methods. */
  kind: number | null;
  /** The event template, the other side of a cipher, or the permissions that a client asks for. */
  param: string;
  /** What a stranger calls itself. */
  claims?: string;
}

/**
 * The rules decide; where none answers, an admin is asked and the rules again after that (docs/POLICY.md 8).
 *
 * @param decide asks the rules, with an admin's pass if there is one; `final` for their last word
 */
export async function permitted(
  { admins, clock }: Office,
  { request, asked, pending }: Call,
  decide: (more: { pass?: string; final?: true }) => Promise<Decision>,
  shown: () => Shown,
): Promise<Decision> {
  let decision = await decide({});
  for (let questions = 0; questions < MOST_QUESTIONS; questions++) {
    if (decision.ok || decision.ask === undefined) return decision;
    pending();
    const { method, kind, param, claims } = shown();
    const { stranger } = decision.ask;
    const description = describe(decision.ask, claims);
    const subject = createHash('sha256').update(JSON.stringify(request.params)).digest('hex');
    const question = { client: asked.client, method, kind, param: shorten(param), description, stranger, subject };
    const answer = await admins.ask(question, asked.expires);
    // Too late to be carried out: nobody allowed it in time.
    if (clock.mono() >= asked.expires) return { ok: false, refusal: 'not authorized' };
    if (answer.verdict === 'no') break;
    decision = await decide(answer.pass === null ? {} : { pass: answer.pass });
  }
  return decide({ final: true });
}

/** What a stranger says of itself is shown as no more than that. */
function describe({ label, stranger }: Asking, claims: string | undefined): string {
  if (!stranger) return label ?? '';
  return claims === undefined || claims === '' ? 'a client that nobody has bound' : `calls itself ${claims}`;
}

/** A template keeps its kind and tags as long as they fit; its content is cut first. */
function shorten(param: string): string {
  if (param.length <= MOST_SHOWN) return param;
  try {
    const template = JSON.parse(param) as { content?: unknown };
    const excess = param.length - MOST_SHOWN;
    if (typeof template.content === 'string' && template.content.length > excess) {
      const content = `${template.content.slice(0, template.content.length - excess)}…`;
      return JSON.stringify({ ...template, content });
    }
  } catch {
    // Not JSON: cut below.
  }
  return `${param.slice(0, MOST_SHOWN)}…`;
}
