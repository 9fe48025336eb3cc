import { isUtf8 } from 'node:buffer';
import { type Secret, wipe } from '../actor/protocol.ts';
import { decodeJsonString, endOfString } from './json-string.ts';

/** Where a value lies in a JSON document: object keys and array indexes, from the root. */
export type JsonPath = readonly (string | number)[];

/** A document without its secrets. */
export interface Cut {
  /** The parsed document. A secret string in it is `""`, a number in the place of a secret is 0. */
  value: unknown;
  secrets: { path: JsonPath; bytes: Secret }[];
}

/** Deeper documents are refused: nothing that is read this way has more than a few levels. */
const MAX_DEPTH = 64;

/**
 * Parses JSON whose secrets must not become JavaScript strings: every string at or under a path that `isSecret`
 * names is taken out of the bytes as bytes, and only the rest goes through `JSON.parse`.
 *
 * The caller overwrites `document` and what was cut.
 *
 * @returns null when the document is not JSON (RFC 8259) in UTF-8, or nested too deeply
 */
export function cutSecrets(document: Uint8Array, isSecret: (path: JsonPath) => boolean): Cut | null {
  if (!isUtf8(document)) return null;
  const scissors = new Scissors(document, isSecret);
  const value = scissors.run();
  if (value === undefined) return null;
  return { value, secrets: keepReachable(value, scissors.secrets) };
}

/** The value at a path; undefined when there is none. */
export function valueAt(value: unknown, path: JsonPath): unknown {
  let at = value;
  for (const step of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, step)) return undefined;
    at = (at as Record<string | number, unknown>)[step];
  }
  return at;
}

/** Of a key that occurs twice JSON.parse keeps the last: a secret that hung on an earlier one is no part of it. */
function keepReachable(value: unknown, secrets: Cut['secrets']): Cut['secrets'] {
  const last = new Map<string, Cut['secrets'][number]>();
  for (const secret of secrets) {
    const name = JSON.stringify(secret.path);
    wipe(last.get(name)?.bytes);
    last.set(name, secret);
  }
  return [...last.values()].filter((secret) => {
    if (valueAt(value, secret.path) === '') return true;
    wipe(secret.bytes);
    return false;
  });
}

class Scissors {
  readonly secrets: { path: JsonPath; bytes: Secret }[] = [];
  readonly #document: Uint8Array;
  readonly #isSecret: (path: JsonPath) => boolean;
  readonly #path: (string | number)[] = [];
  /** The document so far, without secrets: never longer than the original. */
  readonly #open: Uint8Array;
  #written = 0;
  #copied = 0;
  #at = 0;

  constructor(document: Uint8Array, isSecret: (path: JsonPath) => boolean) {
    this.#document = document;
    this.#isSecret = isSecret;
    this.#open = new Uint8Array(document.length);
  }

  /** What this accepts loosely (a literal, a comma too many) `JSON.parse` refuses in the end. */
  run(): unknown {
    let value: unknown;
    if (this.#value(false) && this.#skipSpace() === this.#document.length) {
      this.#copyTo(this.#document.length);
      try {
        value = JSON.parse(new TextDecoder().decode(this.#open.subarray(0, this.#written)));
      } catch {
        value = undefined;
      }
    }
    if (value === undefined) wipe(...this.secrets.map((secret) => secret.bytes));
    return value;
  }

  #value(inSecret: boolean): boolean {
    const secret = inSecret || this.#isSecret(this.#path);
    switch (this.#document[this.#skipSpace()]) {
      case 0x7b:
        return this.#object(secret);
      case 0x5b:
        return this.#array(secret);
      case 0x22:
        return secret ? this.#secretString() : this.#skipString();
      default:
        return secret ? this.#secretLiteral() : this.#skipLiteral();
    }
  }

  #object(secret: boolean): boolean {
    if (this.#path.length >= MAX_DEPTH) return false;
    this.#at++;
    if (this.#document[this.#skipSpace()] === 0x7d) return this.#step();
    for (;;) {
      const start = this.#skipSpace();
      if (!this.#skipString()) return false;
      const key = keyText(this.#document.subarray(start, this.#at));
      if (key === null || this.#document[this.#skipSpace()] !== 0x3a) return false;
      this.#at++;
      this.#path.push(key);
      if (!this.#value(secret)) return false;
      this.#path.pop();
      const next = this.#document[this.#skipSpace()];
      this.#at++;
      if (next === 0x7d) return true;
      if (next !== 0x2c) return false;
    }
  }

  #array(secret: boolean): boolean {
    if (this.#path.length >= MAX_DEPTH) return false;
    this.#at++;
    if (this.#document[this.#skipSpace()] === 0x5d) return this.#step();
    for (let index = 0; ; index++) {
      this.#path.push(index);
      if (!this.#value(secret)) return false;
      this.#path.pop();
      const next = this.#document[this.#skipSpace()];
      this.#at++;
      if (next === 0x5d) return true;
      if (next !== 0x2c) return false;
    }
  }

  #secretString(): boolean {
    const text = decodeJsonString(this.#document, this.#at);
    if (text === null) return false;
    this.secrets.push({ path: [...this.#path], bytes: text.bytes });
    this.#replace(text.end, '""');
    return true;
  }

  /** A number in the place of a secret may be one: a numeric passphrase that somebody forgot to quote. */
  #secretLiteral(): boolean {
    const start = this.#at;
    if (!this.#skipLiteral()) return false;
    const first = this.#document[start]!;
    if (first !== 0x2d && (first < 0x30 || first > 0x39)) return true;
    const end = this.#at;
    if (!isNumber(this.#document.subarray(start, end))) return false;
    this.#at = start;
    this.#replace(end, '0');
    return true;
  }

  #skipString(): boolean {
    const end = endOfString(this.#document, this.#at);
    if (end === null) return false;
    this.#at = end;
    return true;
  }

  #skipLiteral(): boolean {
    const start = this.#at;
    while (isLiteralByte(this.#document[this.#at])) this.#at++;
    return this.#at > start;
  }

  /** Writes `instead` for what lies between the cursor and `end`. */
  #replace(end: number, instead: string): void {
    this.#copyTo(this.#at);
    for (let i = 0; i < instead.length; i++) this.#open[this.#written++] = instead.charCodeAt(i);
    this.#copied = end;
    this.#at = end;
  }

  #copyTo(end: number): void {
    this.#open.set(this.#document.subarray(this.#copied, end), this.#written);
    this.#written += end - this.#copied;
  }

  #skipSpace(): number {
    while (isSpace(this.#document[this.#at])) this.#at++;
    return this.#at;
  }

  #step(): true {
    this.#at++;
    return true;
  }
}

function keyText(token: Uint8Array): string | null {
  try {
    return JSON.parse(new TextDecoder().decode(token)) as string;
  } catch {
    return null;
  }
}

function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d;
}

/** Letters, digits, sign and point: what numbers, `true`, `false` and `null` are made of. */
function isLiteralByte(byte: number | undefined): boolean {
  if (byte === undefined) return false;
  if (byte >= 0x30 && byte <= 0x39) return true;
  if (byte >= 0x61 && byte <= 0x7a) return true;
  return byte === 0x2b || byte === 0x2d || byte === 0x2e || byte === 0x45;
}

/** RFC 8259, section 6, on bytes. */
function isNumber(token: Uint8Array): boolean {
  let at = token[0] === 0x2d ? 1 : 0;
  const digits = () => {
    const from = at;
    while (token[at] !== undefined && token[at]! >= 0x30 && token[at]! <= 0x39) at++;
    return at - from;
  };
  const leadingZero = token[at] === 0x30;
  const whole = digits();
  if (whole === 0 || (leadingZero && whole > 1)) return false;
  if (token[at] === 0x2e) {
    at++;
    if (digits() === 0) return false;
  }
  if (token[at] === 0x65 || token[at] === 0x45) {
    at++;
    if (token[at] === 0x2b || token[at] === 0x2d) at++;
    if (digits() === 0) return false;
  }
  return at === token.length;
}
