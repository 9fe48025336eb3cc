/** Entry point of a key actor's thread. */
import { parentPort, workerData } from 'node:worker_threads';
import { loadCurve } from '../src/curve/load.ts';
import { collectAtRest } from '../src/host/rest.ts';
import { holdKey } from '../src/key/holder.ts';
import type { BlankStart } from '../src/key/thread.ts';
import { warmUp } from '../src/key/warm-up.ts';

void begin(workerData as BlankStart);

async function begin({ curve: wanted, warm }: BlankStart): Promise<void> {
  const curve = await loadCurve(wanted);
  const hurry = new AbortController();
  const main = holdKey(parentPort!, curve, { hurry: () => hurry.abort(), activated: () => collectAtRest() });
  if (warm) await warmUp(curve, hurry.signal);
  main.tell('ready', { curve: curve.name });
}
