/** Secrets that are piped in or typed: whatever bytes come, in whatever pieces, the text is right or refused, and unsaid. */
import { PassThrough, Readable } from 'node:stream';
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Refusal } from '../../src/cli/refusal.ts';
import { readSecretText, type Terminal } from '../../src/cli/secret-text.ts';
import { CANARY, hasTrace, SCALE, SEED } from './layer.ts';
import { mutatedBytes, mutatedText } from './mutate.ts';

const CASES = Number(process.env.REDOUBT_FUZZ_SECRETS ?? 1_000) * SCALE;
const MOST = 4_096;
const figures = { cases: 0, read: 0, refused: 0, secretsSaid: 0 };

const texts = fc.oneof(
  mutatedText([CANARY, `${CANARY} \u00fc\u{1f5dd}`]).map((text) => Buffer.from(text)),
  mutatedBytes([Buffer.from(`${CANARY}\r\n`), Buffer.from(CANARY.repeat(128))]),
);
/** What a hand, or a terminal that pastes, puts between the letters. */
const keys = fc
  .array(
    fc.oneof(
      fc.constantFrom('\u007f', '\b', '\u0015', '\u0004', '\r', '\u0003', '\u001b[A', CANARY),
      fc.string({ unit: 'binary' }),
    ),
  )
  .map((parts) => Buffer.from(parts.join('')));
const pieces = fc.array(fc.nat(40), { maxLength: 4 });

function cut(bytes: Buffer, lengths: readonly number[]): Buffer[] {
  const chunks: Buffer[] = [];
  let at = 0;
  for (const length of lengths) {
    chunks.push(Buffer.from(bytes.subarray(at, at + length)));
    at += length;
  }
  return [...chunks, Buffer.from(bytes.subarray(at))].filter(({ length }) => length > 0);
}

/** @returns the text, or null where it is refused */
async function read(terminal: Terminal, shown: () => string): Promise<Buffer | null> {
  figures.cases++;
  try {
    const text = await readSecretText('passphrase', undefined, { option: '--x' }, terminal);
    figures.read++;
    return Buffer.from(text);
  } catch (error) {
    assert.instance(error, Refusal);
    assert.not.ok(hasTrace(`${(error as Error).message}${(error as Error).stack}`));
    figures.refused++;
    return null;
  } finally {
    assert.not.ok(hasTrace(shown()));
  }
}

test('piped in', async () => {
  await fc.assert(
    fc.asyncProperty(texts, pieces, async (bytes, lengths) => {
      const stdin = Readable.from(cut(bytes, lengths), { objectMode: false });
      const text = await read({ stdin, stderr: { write: () => true } }, () => '');
      const expected = Buffer.from(bytes.toString('latin1').replace(/[\r\n]+$/, ''), 'latin1');
      const isText = Buffer.from(expected.toString()).equals(expected);
      const fits = bytes.length <= MOST && expected.length > 0 && isText;
      assert.equal(text, fits ? expected : null);
    }),
    { numRuns: CASES, seed: SEED, includeErrorInReport: true },
  );
});

test('typed', async () => {
  await fc.assert(
    fc.asyncProperty(keys, pieces, async (bytes, lengths) => {
      let shown = '';
      const stdin = Object.assign(new PassThrough(), { isTTY: true, setRawMode: () => {} });
      const reading = read({ stdin, stderr: { write: (text) => (shown += text) } }, () => shown);
      for (const chunk of cut(bytes, lengths)) stdin.write(chunk);
      stdin.end();
      assert.equal(await reading, typed(bytes));
    }),
    { numRuns: CASES, seed: SEED, includeErrorInReport: true },
  );
});

/** The line that a terminal in cooked mode would give, character by character; null for none. */
function typed(bytes: Buffer): Buffer | null {
  let line: number[][] = [];
  for (const byte of bytes) {
    if (byte === 0x03) return null;
    if ([0x0d, 0x0a, 0x04].includes(byte)) return line.length === 0 ? null : Buffer.from(line.flat());
    if (byte === 0x15) line = [];
    else if (byte === 0x08 || byte === 0x7f) line.pop();
    else if (byte >= 0x80 && byte < 0xc0 && line.length > 0) line.at(-1)!.push(byte);
    else if (byte >= 0x20) line.push([byte]);
  }
  return null;
}

test.after(() => console.log(`R11 R2 ${JSON.stringify({ what: 'secrets in text', crashes: 0, ...figures })}`));

test.run();
