import { createHash } from 'node:crypto';
import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs';
import type { ChunkReader, ChunkWriter } from './chunks.ts';
import { CONFIG, decodeManifest, digest, type Entry, encodeManifest, MAX_MANIFEST, type Manifest } from './manifest.ts';
import { Unfit } from './unfit.ts';

const PART = 65_536;

/** Its length, its SHA-256 and itself; then come the files, one after the other, in its order. */
export function writeManifest(writer: ChunkWriter, manifest: Manifest): void {
  const bytes = encodeManifest(manifest);
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, bytes.length);
  writer.write(length);
  writer.write(Buffer.from(digest(bytes), 'hex'));
  writer.write(bytes);
}

/** @throws Unfit */
export function readManifest(reader: ChunkReader): Manifest {
  const length = new DataView(reader.exactly(4).buffer).getUint32(0);
  if (length > MAX_MANIFEST) throw new Unfit('is damaged: its list of contents cannot be read');
  const expected = Buffer.from(reader.exactly(32)).toString('hex');
  const bytes = reader.exactly(length);
  if (digest(bytes) !== expected) throw new Unfit('is damaged: its list of contents was changed');
  const manifest = decodeManifest(bytes);
  // What it says decides where the rest belongs.
  if (manifest.entries[0]?.path !== CONFIG) throw new Unfit('is damaged: its configuration does not come first');
  return manifest;
}

/**
 * Reads the next file and checks it.
 *
 * @param to where it is written, in a file of its own with mode 0600; null: it is checked only. @throws Unfit, or the
 *   system's error
 */
export function readEntry(reader: ChunkReader, entry: Entry, to: string | null): void {
  const hash = createHash('sha256');
  const file = to === null ? null : openSync(to, 'wx', 0o600);
  try {
    for (let left = entry.size; left > 0; ) {
      const part = reader.some(Math.min(left, PART));
      hash.update(part);
      if (file !== null) for (let done = 0; done < part.length; ) done += writeSync(file, part, done);
      left -= part.length;
    }
    if (file !== null) fsyncSync(file);
  } finally {
    if (file !== null) closeSync(file);
  }
  if (hash.digest('hex') !== entry.sha256) throw new Unfit(`is damaged: ${entry.path} in it was changed`);
}
