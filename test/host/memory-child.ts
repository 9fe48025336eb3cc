/** Run by memory.test.ts: what a thread's heap and code take. `--as-it-is`: in a process that has set nothing. */
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { startThread } from '../../src/actor/thread.ts';
import { setV8Flags } from '../../src/host/v8-flags.ts';

if (!process.argv.includes('--as-it-is')) setV8Flags();
const file = fileURLToPath(new URL('memory-worker.ts', import.meta.url));
const worker = startThread(file, { name: 'memory', youngGenerationMb: 3 });
const [figures] = await once(worker, 'message');
console.log(JSON.stringify(figures));
await worker.terminate();
