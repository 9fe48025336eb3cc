/** Looks for secrets in what the probes collected. */
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { bech32 } from '@scure/base';

/** A secret and every form that it might be found in. */
export interface Needle {
  name: string;
  forms: { form: string; bytes: Buffer }[];
}

/** 32 bytes of key material. */
export function keyNeedle(name: string, secret: Uint8Array): Needle {
  const bytes = Buffer.from(secret);
  const nsec = bech32.encodeFromBytes('nsec', secret);
  return {
    name,
    forms: [
      { form: 'raw', bytes },
      // An allocator writes over the beginning of what was freed: what is left of a key is its second half.
      { form: 'raw, second half', bytes: bytes.subarray(16) },
      { form: 'hex', bytes: Buffer.from(bytes.toString('hex')) },
      { form: 'hex, UTF-16', bytes: Buffer.from(bytes.toString('hex'), 'utf16le') },
      { form: 'base64', bytes: Buffer.from(bytes.toString('base64').slice(0, 42)) },
      { form: 'nsec', bytes: Buffer.from(nsec) },
      { form: 'nsec, UTF-16', bytes: Buffer.from(nsec, 'utf16le') },
    ],
  };
}

/** A passphrase or a plaintext. */
export function textNeedle(name: string, text: string): Needle {
  return {
    name,
    forms: [
      { form: 'text', bytes: Buffer.from(text) },
      { form: 'UTF-16', bytes: Buffer.from(text, 'utf16le') },
      {
        form: 'base64',
        bytes: Buffer.from(
          Buffer.from(text)
            .toString('base64')
            .replace(/.{2}=*$/, ''),
        ),
      },
    ],
  };
}

/** `name (form)` of each needle found. */
export function findIn(haystack: Buffer, needles: Needle[]): string[] {
  const found = [];
  for (const { name, forms } of needles) {
    for (const { form, bytes } of forms) if (haystack.includes(bytes)) found.push(`${name} (${form})`);
  }
  return found;
}

export function findInFile(path: string, needles: Needle[]): string[] {
  return findIn(readFileSync(path), needles);
}

/** Scans the writable memory of a process (Linux; needs the right to trace it). */
export function findInMemory(pid: number, needles: Needle[]): string[] {
  const found = new Set<string>();
  const memory = openSync(`/proc/${pid}/mem`, 'r');
  try {
    for (const line of readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n')) {
      const match = /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line);
      if (match === null) continue;
      for (const chunk of read(memory, Number.parseInt(match[1]!, 16), Number.parseInt(match[2]!, 16))) {
        for (const hit of findIn(chunk, needles)) found.add(hit);
      }
    }
  } finally {
    closeSync(memory);
  }
  return [...found];
}

const CHUNK = 16 * 1024 * 1024;
/** Chunks overlap, so that nothing hides on a border. */
const OVERLAP = 256;

function* read(file: number, start: number, end: number): Generator<Buffer> {
  const buffer = Buffer.allocUnsafe(CHUNK + OVERLAP);
  for (let at = start; at < end; at += CHUNK) {
    let length = 0;
    try {
      length = readSync(file, buffer, 0, Math.min(CHUNK + OVERLAP, end - at), at);
    } catch {
      // A mapping that went away, or that cannot be read, such as the kernel's own.
      continue;
    }
    yield buffer.subarray(0, length);
  }
}
