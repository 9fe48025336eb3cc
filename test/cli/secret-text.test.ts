import { PassThrough } from 'node:stream';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Refusal } from '../../src/cli/refusal.ts';
import { readSecretText } from '../../src/cli/secret-text.ts';

/** A terminal on which somebody types. */
function terminal() {
  const stdin = Object.assign(new PassThrough(), { isTTY: true, raw: [] as boolean[], setRawMode: (_: boolean) => {} });
  stdin.setRawMode = (raw) => stdin.raw.push(raw);
  let shown = '';
  return { stdin, stderr: { write: (text: string) => (shown += text) }, shown: () => shown };
}

/** Types lines one after the other, each once its question was asked. */
async function ask(
  typed: (string | Uint8Array)[],
  twice = false,
): Promise<{ text: string; shown: string; raw: boolean[] }> {
  const screen = terminal();
  const reading = readSecretText('passphrase', undefined, { twice, option: '--passphrase-file' }, screen);
  void (async () => {
    for (const [i, line] of typed.entries()) {
      while (screen.shown().split(': ').length < i + 2) await new Promise((resolve) => setImmediate(resolve));
      screen.stdin.write(line);
    }
  })();
  const secret = await reading;
  return { text: new TextDecoder().decode(secret), shown: screen.shown(), raw: screen.stdin.raw };
}

async function refusal(typed: (string | Uint8Array)[], twice = false): Promise<string> {
  try {
    await ask(typed, twice);
  } catch (error) {
    assert.instance(error, Refusal);
    return (error as Refusal).message;
  }
  throw new Error('accepted');
}

test('what is typed is not shown, and the terminal is put back', async () => {
  const { text, shown, raw } = await ask(['secret \u00fc\r']);
  assert.is(text, 'secret \u00fc');
  assert.is(shown, 'passphrase: \n');
  assert.equal(raw, [true, false]);
});

test('keys that edit: backspace by characters, control-U, control-C', async () => {
  assert.is((await ask(['ab\u00fc\u007f\u007fc\n'])).text, 'ac');
  assert.is((await ask(['\u007f\u007fa\n'])).text, 'a');
  assert.is((await ask(['wrong\u0015right\u0004'])).text, 'right');
  assert.is(await refusal(['abc\u0003']), 'interrupted: nothing was done');
  assert.is(await refusal(['\n']), 'the passphrase is empty');
});

test('what was typed ahead, in several pieces, is read whole', async () => {
  const screen = terminal();
  for (const piece of ['cor', 'rect', ' horse', '\n']) screen.stdin.write(piece);
  const secret = await readSecretText('passphrase', undefined, { option: '--passphrase-file' }, screen);
  assert.is(new TextDecoder().decode(secret), 'correct horse');
});

test('a new passphrase is asked for twice', async () => {
  assert.is((await ask(['same\n', 'same\n'], true)).text, 'same');
  assert.is(await refusal(['same\n', 'other\n'], true), 'the two do not agree: nothing was done');
  assert.is(await refusal(['same\n', 'sam\n'], true), 'the two do not agree: nothing was done');
});

test.run();
