/** Starts as many worker threads as its argument says; each does nothing, for ever. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

const NOTHING = "require('node:worker_threads').parentPort.on('message', () => {})";

for (let i = 0; i < Number(process.argv[2]); i++) {
  await once(new Worker(NOTHING, { eval: true, env: {}, argv: [], execArgv: [] }), 'online');
}
process.on('disconnect', () => process.exit());
process.send!('started');
