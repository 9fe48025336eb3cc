/** Drives a policy actor under load until it is killed, and says on standard output what it saw allowed. */
import { writeSync } from 'node:fs';
import { hex, Rig } from './rig.ts';

const [folder, clients, width] = process.argv.slice(2) as [string, string, string];
const rig = new Rig(undefined, folder);
const opened = await rig.start({ keysInKeystore: 1 });
if (!opened.ok) throw new Error(opened.refusal);
writeSync(1, 'ready\n');

async function client(name: string): Promise<void> {
  for (;;) {
    const request = rig.asked({ client: hex(name) });
    const answer = await rig.key('key').ask('decide', request);
    // A pipe is written synchronously: what was seen before the kill has been said.
    writeSync(1, answer.ok ? `${request.envelope}\n` : `${answer.refusal}\n`);
    if (!answer.ok) await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

await Promise.all(
  Array.from({ length: Number(clients) }, (_, i) =>
    Array.from({ length: Number(width) }, () => client(`client ${i}`)),
  ).flat(),
);
