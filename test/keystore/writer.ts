/** Replaces a file again and again until it is killed: every version has a length of its own, told at its start. */
import { writeDurably } from '../../src/keystore/durable.ts';

const path = process.argv[2]!;
for (let i = 0; ; i++) {
  const body = 'x'.repeat(1 + ((i * 7919) % 200_000));
  writeDurably(path, new TextEncoder().encode(`${body.length} ${body}`));
  if (i === 0) process.stdout.write('ready\n');
}
