const BLOT = '[redacted]';

/** Fields whose text is never written, whoever passes them. Names of keys and ids of tokens are no secrets. */
const SECRET_FIELD =
  /nsec|passphrase|password|secret|private_?key|sec_?key|api_?key|plaintext|authorization|^(token|content|params)$/i;

/** Secrets that can be known by their shape, wherever they stand. */
const SHAPES: readonly [shape: RegExp, replaced: string][] = [
  // NIP-19 and NIP-49.
  [/(nsec1|ncryptsec1)[02-9ac-hj-np-z]{10,}/gi, `$1${BLOT}`],
  // The secret of a bunker:// or nostrconnect:// URI, also where that is encoded once more.
  [/([?&]|%3F|%26)(secret)(=|%3D)[^&\s"'\\%]+/gi, `$1$2$3${BLOT}`],
  // A token as the admin RPC shows it: npub#secret.
  [/(npub1[02-9ac-hj-np-z]{20,}#)[^\s"'\\]+/gi, `$1${BLOT}`],
  // docs/PAIRING.md
  [/spire-seed:v1:[\w-]+/g, `spire-seed:v1:${BLOT}`],
];

type Fields = { readonly [name: string]: string | number | boolean | null };

/**
 * Two nets below the rule that nothing secret is passed to the log (docs/SECURITY.md): fields that are known by their
 * name, and in the finished line, messages and stacks of exceptions included, what is known by its shape.
 */
export const redact = {
  fields(fields: Fields): Fields {
    const named = ([name, value]: [string, Fields[string]]) =>
      [name, typeof value === 'string' ? (SECRET_FIELD.test(name) ? BLOT : printable(value)) : value] as const;
    return Object.fromEntries(Object.entries(fields).map(named));
  },
  line(line: string): string {
    let clean = line;
    for (const [shape, replaced] of SHAPES) clean = clean.replace(shape, replaced);
    return clean;
  },
};

/** Text of a client must not move a terminal's cursor or look like another line. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, '\ufffd');
}
