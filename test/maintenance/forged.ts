import { openSync } from 'node:fs';
import { join } from 'node:path';
import { ChunkWriter } from '../../src/maintenance/archive/chunks.ts';
import { plainHeader } from '../../src/maintenance/archive/header.ts';
import { digest } from '../../src/maintenance/archive/manifest.ts';
import { emptyFolder } from './installation.ts';

/** A plain archive with this list of contents, whatever it says; its own digest is right. @returns its path */
export function forge(manifest: string, contents: readonly Uint8Array[]): string {
  const file = join(emptyFolder(), 'forged');
  const list = Buffer.from(manifest);
  const writer = new ChunkWriter(openSync(file, 'wx'), plainHeader(), null);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(list.length);
  for (const part of [length, Buffer.from(digest(list), 'hex'), list, ...contents]) writer.write(part);
  writer.end();
  return file;
}
