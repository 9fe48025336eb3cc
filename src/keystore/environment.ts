import { readSync } from 'node:fs';
import { newSecret, type Secret, wipe } from '../actor/protocol.ts';

/** Linux allows about 6 MiB for arguments and environment together. */
const MAX_BYTES = 8 * 1024 * 1024;
const STEP = 64 * 1024;

/**
 * A variable of the environment that the process was started with, as bytes for the caller to wipe: `process.env` would
 * make it a string. Null when it is not there. For workers only.
 *
 * @param descriptor of /proc/self/environ, opened for reading
 */
export function environmentVariable(descriptor: number, name: string): Secret | null {
  const block = readWhole(descriptor);
  try {
    const wanted = new TextEncoder().encode(`${name}=`);
    for (let start = 0; start < block.length; ) {
      const found = block.indexOf(0, start);
      const end = found === -1 ? block.length : found;
      if (wanted.every((byte, i) => block[start + i] === byte)) {
        const value = newSecret(end - start - wanted.length);
        value.set(block.subarray(start + wanted.length, end));
        return value;
      }
      start = end + 1;
    }
    return null;
  } finally {
    wipe(block);
  }
}

/** The size of a file under /proc is not known before it is read. */
function readWhole(descriptor: number): Secret {
  let block = newSecret(STEP);
  let length = 0;
  try {
    for (;;) {
      if (length === block.length) {
        if (length >= MAX_BYTES) return newSecret(0);
        const larger = newSecret(length * 2);
        larger.set(block);
        wipe(block);
        block = larger;
      }
      const read = readSync(descriptor, block, length, block.length - length, length);
      if (read === 0) break;
      length += read;
    }
    const whole = newSecret(length);
    whole.set(block.subarray(0, length));
    return whole;
  } catch {
    return newSecret(0);
  } finally {
    wipe(block);
  }
}
