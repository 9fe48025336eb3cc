import { randomFillSync } from 'node:crypto';
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { newSecret, type Secret, wipe } from '../../src/actor/protocol.ts';
import { loadCurve } from '../../src/curve/load.ts';
import { lacks } from '../runner/lacks.ts';

const lacksNative = lacks('libsecp256k1');

/** A secret that this file itself remembers in two halves only, so that a scan finds none but the copies made of it. */
class Planted {
  readonly #mask = randomFillSync(new Uint8Array(32));
  readonly #masked = randomFillSync(new Uint8Array(32));

  bytes(): Secret {
    const bytes = newSecret(32);
    for (let i = 0; i < 32; i++) bytes[i] = this.#byte(i);
    return bytes;
  }

  /** Copies in this process's memory, in either byte order (OpenSSL and big integers keep the low byte first). */
  copies(): number {
    const forward = (i: number) => this.#byte(i);
    const backward = (i: number) => this.#byte(31 - i);
    return count(forward) + count(backward);
  }

  #byte(i: number): number {
    return this.#mask[i]! ^ this.#masked[i]!;
  }
}

const STEP = 1 << 20;
const chunk = Buffer.alloc(STEP + 64);

function count(byte: (i: number) => number): number {
  // The beginning is searched for as a whole, the rest is compared byte by byte.
  const beginning = Uint8Array.from({ length: 8 }, (_, i) => byte(i));
  const memory = openSync('/proc/self/mem', 'r');
  let found = 0;
  for (const [from, to] of writable()) {
    for (let at = from; at < to; at += STEP) {
      let size = 0;
      try {
        size = readSync(memory, chunk, 0, Math.min(chunk.length, to - at), at);
      } catch {
        continue; // Reserved, not there.
      }
      for (let i = chunk.indexOf(beginning); i !== -1 && i + 32 <= size; i = chunk.indexOf(beginning, i + 1)) {
        if (i < STEP && [...chunk.subarray(i, i + 32)].every((value, j) => value === byte(j))) found++;
      }
    }
  }
  chunk.fill(0);
  closeSync(memory);
  return found;
}

function writable(): [number, number][] {
  const lines = readFileSync('/proc/self/maps', 'utf8').split('\n');
  return lines
    .map((line) => /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line))
    .filter((match) => match !== null)
    .map(([, from, to]): [number, number] => [Number.parseInt(from!, 16), Number.parseInt(to!, 16)]);
}

for (const name of ['native', 'wasm'] as const) {
  const check = name === 'native' && lacksNative ? test.skip : test;
  check(`a wiped key of the ${name} backend is nowhere in memory`, async () => {
    const curve = await loadCurve(name);
    const planted = new Planted();
    assert.is(planted.copies(), 0);

    const bytes = planted.bytes();
    const key = curve.openKey(bytes);
    wipe(bytes);
    for (let i = 0; i < 20; i++) key.sign(new Uint8Array(32).fill(i));
    wipe(key.sharedX(key.publicKey));
    assert.ok(planted.copies() > 0, 'the scan finds a key in use');

    key.wipe();
    assert.is(planted.copies(), 0);
  });
}

test('a wiped secret is nowhere in memory, even when it was moved about', () => {
  const planted = new Planted();
  const secret = planted.bytes();
  // Garbage enough for several collections of the young generation.
  let kept: unknown[] = [];
  for (let i = 0; i < 2_000_000; i++) {
    if (i % 100_000 === 0) kept = [];
    kept.push({ i });
  }
  assert.is(secret.buffer.byteLength, 32);
  assert.ok(planted.copies() > 0, 'the scan finds a secret in use');
  wipe(secret);
  assert.is(planted.copies(), 0);
});

test.run();
