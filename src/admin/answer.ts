/** How an admin request ended. */
export type Answer =
  | { ok: true; result: string }
  /** A list: `full` with our additions, `lean` as nsecbunkerd's clients know it. */
  | { ok: true; rows: readonly { full: object; lean: object }[] }
  /**
   * `result`: the method's own form of a failure, instead of the common one. `passing`: nothing was done and the
   * cause may be gone the next time, so a retry is a new try.
   */
  | { ok: false; error: string; result?: string; passing?: boolean };

/** The longest plaintext that every NIP-44 client can decrypt, bytes. */
const NIP44_LONGEST = 65_535;

/** The message that answers a request, as JSON. docs/ADMIN.md */
export function answerText(id: string, method: string, answer: Answer, encryption: 'nip44' | 'nip04'): string {
  const longest = encryption === 'nip44' ? NIP44_LONGEST : Number.POSITIVE_INFINITY;
  if (!answer.ok) {
    const { result, error } = answer;
    return result === undefined ? failureText(id, method, error) : JSON.stringify({ id, result });
  }
  for (const result of results(answer)) {
    const text = JSON.stringify({ id, result });
    if (Buffer.byteLength(text) <= longest) return text;
  }
  return failureText(id, method, tooLong(answer));
}

/** The best form first. */
function* results(answer: Extract<Answer, { ok: true }>): Generator<string> {
  if ('result' in answer) {
    yield answer.result;
    return;
  }
  yield JSON.stringify(answer.rows.map((row) => row.full));
  yield JSON.stringify(answer.rows.map((row) => row.lean));
}

function tooLong(answer: Extract<Answer, { ok: true }>): string {
  const why = `the result is longer than the ${NIP44_LONGEST} bytes that NIP-44 clients can decrypt`;
  if ('result' in answer) return why;
  return `${why}: ask for a part with a last parameter {"offset": 0, "limit": ${Math.max(1, Math.min(100, answer.rows.length >> 1))}}`;
}

/** A list method's failure is a list too: that is what the web interface can show. */
function failureText(id: string, method: string, error: string): string {
  const result = method.startsWith('get_') || error.startsWith('Unknown method') ? ['error', error] : 'error';
  return JSON.stringify({ id, result: typeof result === 'string' ? result : JSON.stringify(result), error });
}
