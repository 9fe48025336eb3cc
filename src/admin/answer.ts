import type { Encryption } from '../nip46/conversations.ts';

/** A row of a list: `full` with our additions, `lean` as nsecbunkerd's clients know it. */
export interface ListRow {
  full: object;
  lean: object;
}

/** How an admin request ended. */
export type Answer =
  | { ok: true; result: string }
  /** A list from its row `offset` on. `more`: what was read is too long already, and the rest was left where it is. */
  | { ok: true; rows: readonly ListRow[]; offset: number; more?: boolean }
  /**
   * `result`: the method's own form of a failure, instead of the common one. `passing`: nothing was done and the
   * cause may be gone the next time, so a retry is a new try.
   */
  | { ok: false; error: string; result?: string; passing?: boolean };

type List = Extract<Answer, { rows: unknown }>;

/** The longest plaintext that every NIP-44 client can decrypt, bytes. */
const NIP44_LONGEST = 65_535;
/** Rows that the error about a list that is too long proposes to ask for. */
const MOST_PROPOSED = 100;

/** How long an answer may be, bytes of plaintext. */
export function longestAnswer(encryption: Encryption): number {
  return encryption === 'nip44' ? NIP44_LONGEST : Number.POSITIVE_INFINITY;
}

/** The message that answers a request, as JSON. docs/ADMIN.md */
export function answerText(id: string, method: string, answer: Answer, encryption: Encryption): string {
  const longest = longestAnswer(encryption);
  if (!answer.ok) {
    const { result, error } = answer;
    return result === undefined ? failureText(id, method, error) : JSON.stringify({ id, result });
  }
  for (const result of results(answer)) {
    const text = JSON.stringify({ id, result });
    if (Buffer.byteLength(text) <= longest) return text;
  }
  return failureText(id, method, tooLong(id, answer, longest));
}

/** The best form first. */
function* results(answer: Extract<Answer, { ok: true }>): Generator<string> {
  if ('result' in answer) {
    yield answer.result;
    return;
  }
  if (answer.more === true) return;
  yield JSON.stringify(answer.rows.map((row) => row.full));
  yield JSON.stringify(answer.rows.map((row) => row.lean));
}

function tooLong(id: string, answer: Extract<Answer, { ok: true }>, longest: number): string {
  const why = `the result is longer than the ${NIP44_LONGEST} bytes that NIP-44 clients can decrypt`;
  if ('result' in answer) return why;
  const { offset } = answer;
  const fitting = rowsThatFit(id, answer, longest);
  if (fitting === 0) return `${why}, and so is its row ${offset} alone: ask with NIP-04, which has no such bound`;
  const page = `{"offset": ${offset}, "limit": ${Math.min(fitting, MOST_PROPOSED)}}`;
  return `${why}: ask for a part with a last parameter ${page}`;
}

function rowsThatFit(id: string, { rows }: List, longest: number): number {
  let bytes = Buffer.byteLength(JSON.stringify({ id, result: '[]' }));
  for (const [i, { lean }] of rows.entries()) {
    // As text within text, without the quotes around it, and the comma before the next one.
    bytes += Buffer.byteLength(JSON.stringify(JSON.stringify(lean))) - 2 + (i === 0 ? 0 : 1);
    if (bytes > longest) return i;
  }
  return rows.length;
}

/** A list method's failure is a list too: that is what the web interface can show. */
function failureText(id: string, method: string, error: string): string {
  const result = method.startsWith('get_') || error.startsWith('Unknown method') ? ['error', error] : 'error';
  return JSON.stringify({ id, result: typeof result === 'string' ? result : JSON.stringify(result), error });
}
