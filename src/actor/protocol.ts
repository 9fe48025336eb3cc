/**
 * What actors may say to each other. A protocol is one type: it names every message an actor takes, what the
 * message carries and, for an `ask`, what it is answered with. Both sides of a link import the same protocol.
 */

/** A message without an answer. */
export interface Tell<Body> {
  body: Body;
}

/** A message with an answer; the asker gives a deadline. */
export interface Ask<Body, Reply> {
  body: Body;
  reply: Reply;
}

export type Protocol = { [type: string]: Tell<unknown> | Ask<unknown, unknown> };

/** The types of P that are answered. */
export type AskType<P> = { [K in keyof P]: P[K] extends { reply: unknown } ? K : never }[keyof P] & string;
/** The types of P that are not. */
export type TellType<P> = Exclude<keyof P & string, AskType<P>>;
export type Body<P, K extends keyof P> = P[K] extends { body: infer B } ? B : never;
export type Reply<P, K extends keyof P> = P[K] extends { reply: infer R } ? R : never;

/** One handler for each message of P, no more and no fewer: a type that is not handled does not compile. */
export type Handlers<P> = {
  [K in keyof P]: P[K] extends { reply: unknown }
    ? (body: Body<P, K>) => Reply<P, K> | Transferred<Reply<P, K>> | Promise<Reply<P, K> | Transferred<Reply<P, K>>>
    : (body: Body<P, K>) => void;
};

/** An answer that gives ports or buffers away. */
export class Transferred<T> {
  readonly value: T;
  readonly transfer: readonly Transferable[];
  constructor(value: T, transfer: readonly Transferable[]) {
    this.value = value;
    this.transfer = transfer;
  }
}

/** What a port can hand over instead of copying. */
export type Transferable = import('node:worker_threads').MessagePort | ArrayBuffer;

/**
 * Why a message was not carried out, when the fault is the link's and not the answer's:
 * `overloaded` the mailbox is full, `timeout` the deadline passed, `closed` the other side is gone,
 * `failed` its handler threw.
 */
export type ActorErrorCode = 'overloaded' | 'timeout' | 'closed' | 'failed';

/** Crosses threads as its code and message; never with a stack or a value that the failed handler held. */
export class ActorError extends Error {
  readonly code: ActorErrorCode;
  constructor(code: ActorErrorCode, message: string) {
    super(message);
    this.name = 'ActorError';
    this.code = code;
  }
}

declare const secret: unique symbol;

/**
 * A private key, a passphrase, a key derived from one, an unsealing key, a conversation key, or the plaintext
 * of an encrypted message. Lives in workers only, is overwritten when done with, and is no part of `Open`.
 */
export type Secret = Uint8Array & { readonly [secret]: true };

/** Marks bytes as secret; it copies nothing. */
export function asSecret(bytes: Uint8Array): Secret {
  return bytes as Secret;
}

/**
 * Zeroed bytes for a secret. Outside the garbage-collected heap from the start: V8 keeps an array of up to 64 bytes
 * inside it, and moving that array, or asking for its `buffer`, leaves a copy behind that nobody can overwrite.
 */
export function newSecret(size: number): Secret {
  return new Uint8Array(new ArrayBuffer(size)) as Uint8Array as Secret;
}

/** Overwrites bytes that are no longer needed. */
export function wipe(...secrets: (Uint8Array | null | undefined)[]): void {
  for (const bytes of secrets) bytes?.fill(0);
}

/** What the main thread may hold: no byte arrays at all, so a `Secret` in a main-thread protocol does not compile. */
export type Open =
  | string
  | number
  | boolean
  | null
  | undefined
  | import('node:worker_threads').MessagePort
  | readonly Open[]
  | { readonly [key: string]: Open };

/** Holds a protocol of the main thread to open values: `type X = MainProtocol<{...}>`. */
export type MainProtocol<P extends { [K in keyof P]: Tell<Open> | Ask<Open, Open> }> = P;
