/** The chunks of an encrypted archive by themselves, without the checksums of what is in them. */
import { randomBytes } from 'node:crypto';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { asSecret, newSecret } from '../../src/actor/protocol.ts';
import { CHUNK, ChunkReader, ChunkWriter } from '../../src/maintenance/archive/chunks.ts';
import { sealedHeader } from '../../src/maintenance/archive/header.ts';
import { emptyFolder } from './installation.ts';

const random = (size: number) => new Uint8Array(randomBytes(size));
const passphrase = asSecret(newSecret(4).fill(0x61));
const path = join(emptyFolder(), 'chunks');
const content = random(2 * CHUNK + 100);
const HEADER = 100;
const SEALED = CHUNK + 16;

function write(bytes: Uint8Array): Buffer {
  const sealing = sealedHeader(passphrase, 14, random);
  const fd = openSync(path, 'w');
  const writer = new ChunkWriter(fd, sealing.header, sealing);
  writer.write(bytes.subarray(0, 10));
  writer.write(bytes.subarray(10));
  writer.end();
  closeSync(fd);
  return readFileSync(path);
}

function read(file: Uint8Array, length: number): Uint8Array {
  writeFileSync(path, file);
  const reader = new ChunkReader(path);
  try {
    if (reader.header.form !== 'sealed') throw new Error('not encrypted');
    reader.useSealing(reader.header.unseal(passphrase)!);
    const bytes = reader.exactly(length);
    reader.expectEnd();
    return bytes;
  } finally {
    reader.close();
  }
}

test('what was written is read, whatever its length', () => {
  for (const length of [1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, content.length]) {
    const file = write(content.subarray(0, length));
    assert.is(file.length, HEADER + length + 16 * Math.ceil(length / CHUNK));
    assert.equal(Buffer.compare(read(file, length), content.subarray(0, length)), 0);
  }
});

test('an archive that ends after a whole chunk is cut short, and says so', () => {
  const file = write(content);
  assert.throws(() => read(file.subarray(0, HEADER + SEALED), CHUNK), /cut short/);
  assert.throws(() => read(file.subarray(0, HEADER + 2 * SEALED), 2 * CHUNK), /cut short/);
});

test('chunks that changed places, or one that comes twice, are damage', () => {
  const file = write(content);
  const header = file.subarray(0, HEADER);
  const [first, second, last] = [0, 1, 2].map((i) => file.subarray(HEADER + i * SEALED, HEADER + (i + 1) * SEALED));
  const swapped = Buffer.concat([header, second!, first!, last!]);
  assert.throws(() => read(swapped, content.length), /damaged/);
  assert.throws(() => read(Buffer.concat([header, first!, first!, last!]), content.length), /damaged/);
  assert.throws(() => read(Buffer.concat([header, first!, last!]), CHUNK + 100), /damaged/);
});

test('no two archives under one passphrase share a key or a nonce', () => {
  const [a, b] = [write(content), write(content)];
  assert.not(a.subarray(HEADER, HEADER + 64).equals(b.subarray(HEADER, HEADER + 64)));
});

test.run();
