import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import type { PrivateKey } from '../curve/curve.ts';
import { bytesToHex } from '../nip46/hex.ts';

/** Where the audit chain stood at a moment. */
export interface Head {
  seq: number;
  hash: string;
  cut: number;
  /** ms */
  at: number;
}

/** Signs heads of the audit chain with the daemon's key and appends them to a file, one JSON line each. docs/POLICY.md */
export class Heads {
  readonly #key: PrivateKey;
  readonly #file: string;
  #last: Promise<void> = Promise.resolve();

  constructor(key: PrivateKey, file: string) {
    this.#key = key;
    this.#file = file;
  }

  /** Answers with the line that was written, once it is durable. */
  async append({ seq, hash, cut, at }: Head): Promise<string> {
    const digest = createHash('sha256').update(headText({ seq, hash, cut, at })).digest();
    const sig = bytesToHex(this.#key.sign(digest));
    const line = JSON.stringify({ seq, hash, cut, at, pubkey: bytesToHex(this.#key.publicKey), sig });
    const written = this.#last.catch(() => {}).then(() => appendDurably(this.#file, `${line}\n`));
    this.#last = written;
    await written;
    return line;
  }

  /** Waits for what is being written. */
  async flush(): Promise<void> {
    await this.#last.catch(() => {});
  }
}

/** What is signed: SHA-256 of this. */
export function headText({ seq, hash, cut, at }: Head): string {
  return JSON.stringify({ seq, hash, cut, at });
}

async function appendDurably(path: string, text: string): Promise<void> {
  const file = await open(path, 'a', 0o600);
  try {
    await file.appendFile(text);
    await file.datasync();
  } finally {
    await file.close();
  }
}
