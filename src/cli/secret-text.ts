import { isUtf8 } from 'node:buffer';
import type { Readable } from 'node:stream';
import { newSecret, type Secret, wipe } from '../actor/protocol.ts';
import { MAX_PASSPHRASE, readPassphraseFile } from '../keystore/passphrase-file.ts';
import { say } from './output.ts';
import { EXIT, Refusal } from './refusal.ts';

const CTRL_C = 0x03;
const CTRL_D = 0x04;
const BACKSPACE = 0x08;
const CTRL_U = 0x15;
const DELETE = 0x7f;

/** Standard input and error: the process's own, but for tests. */
export interface Terminal {
  stdin: Readable & { isTTY?: boolean; setRawMode?(raw: boolean): unknown };
  stderr: { write(text: string): unknown };
}

/**
 * A passphrase or a key in text, as bytes for the caller to wipe: from a file (`-` is standard input), else asked for
 * without echo on a terminal, else from standard input. It is never taken from an argument, which every other process
 * of the machine could read.
 *
 * @param what for example `passphrase`
 * @throws Refusal
 */
export async function readSecretText(
  what: string,
  file: string | undefined,
  options: { twice?: boolean; option: string },
  terminal: Terminal = process,
): Promise<Secret> {
  if (file === '')
    throw new Refusal(`${options.option} names no file: give the path of one, or - for standard input`, EXIT.usage);
  if (file !== undefined && file !== '-') return fromFile(file);
  if (terminal.stdin.isTTY !== true) return fromStandardInput(what, options.option, terminal);
  const typed = await prompt(`${what}: `, terminal);
  if (typed.length === 0) throw new Refusal(`the ${what} is empty`);
  if (options.twice !== true) return typed;
  const again = await prompt(`${what}, again: `, terminal);
  const same = typed.length === again.length && typed.every((byte, i) => byte === again[i]);
  wipe(again);
  if (same) return typed;
  wipe(typed);
  throw new Refusal('the two do not agree: nothing was done');
}

function fromFile(file: string): Secret {
  const read = readPassphraseFile(file);
  if (!read.ok) throw new Refusal(read.refusal.replace(/^passphrase file /, ''));
  for (const warning of read.warnings) say(`redoubt: ${warning.replace(/^passphrase file /, '')}`);
  return read.passphrase;
}

async function fromStandardInput(what: string, option: string, { stdin }: Terminal): Promise<Secret> {
  if (stdin.readableEnded) {
    throw new Refusal(`standard input was read already: give the ${what} with ${option} FILE`, EXIT.usage);
  }
  const text = newSecret(MAX_PASSPHRASE + 1);
  let length = 0;
  try {
    for await (const chunk of stdin as AsyncIterable<Buffer>) {
      if (length + chunk.length > MAX_PASSPHRASE)
        throw new Refusal(`the ${what} is longer than ${MAX_PASSPHRASE} bytes`);
      text.set(chunk, length);
      length += chunk.length;
      wipe(chunk);
    }
    while (length > 0 && (text[length - 1] === 0x0a || text[length - 1] === 0x0d)) length--;
    if (length === 0) throw new Refusal(`the ${what} on standard input is empty: pipe it in, or give ${option} FILE`);
    if (!isUtf8(text.subarray(0, length))) throw new Refusal(`the ${what} on standard input is not UTF-8 text`);
    return copyOf(text, length);
  } finally {
    wipe(text);
  }
}

/** Reads a line from the terminal without showing it. */
async function prompt(question: string, { stdin, stderr }: Terminal): Promise<Secret> {
  const line = newSecret(MAX_PASSPHRASE);
  let length = 0;
  stderr.write(question);
  stdin.setRawMode?.(true);
  try {
    for await (const chunk of typed(stdin)) {
      for (const byte of chunk) {
        if (byte === CTRL_C) throw new Refusal('interrupted: nothing was done');
        if (byte === 0x0d || byte === 0x0a || byte === CTRL_D) return copyOf(line, length);
        if (byte === CTRL_U) length = 0;
        else if (byte === BACKSPACE || byte === DELETE) length = beforeLastCharacter(line, length);
        else if (byte >= 0x20 && length < line.length) line[length++] = byte;
      }
      wipe(chunk);
    }
    throw new Refusal('the terminal was closed: nothing was done');
  } finally {
    wipe(line);
    stdin.setRawMode?.(false);
    stdin.pause();
    stderr.write('\n');
  }
}

/** Chunks as they are typed; ending the loop leaves standard input open for the next question. */
async function* typed(stdin: Readable): AsyncGenerator<Uint8Array> {
  // The end may have come with the last chunk.
  while (!stdin.readableEnded) {
    stdin.resume();
    const { promise, resolve } = Promise.withResolvers<Uint8Array | null>();
    // At once: of several chunks that wait, the others would be given to nobody.
    const onData = (chunk: Uint8Array) => {
      stdin.pause();
      resolve(chunk);
    };
    const onEnd = () => resolve(null);
    stdin.once('data', onData);
    stdin.once('end', onEnd);
    const chunk = await promise;
    stdin.off('data', onData);
    stdin.off('end', onEnd);
    stdin.pause();
    if (chunk === null) return;
    yield chunk;
  }
}

function beforeLastCharacter(line: Uint8Array, length: number): number {
  let at = length - 1;
  // The bytes of a character after its first are 10xxxxxx.
  while (at > 0 && (line[at]! & 0xc0) === 0x80) at--;
  return Math.max(0, at);
}

function copyOf(text: Uint8Array, length: number): Secret {
  const copy = newSecret(length);
  copy.set(text.subarray(0, length));
  return copy;
}
