/** A thread that opens one key as a key actor does: the port comes from the vault, through the main thread. */
import { once } from 'node:events';
import { type MessagePort, parentPort } from 'node:worker_threads';
import { loadCurve } from '../../src/curve/load.ts';
import type { Unsealing } from '../../src/keystore/protocol.ts';
import { openSealed } from '../../src/keystore/seal.ts';

const [port] = (await once(parentPort!, 'message')) as [MessagePort];
const [unsealing] = (await once(port, 'message')) as [Unsealing];
const key = (await loadCurve()).openKey(openSealed(unsealing));
parentPort!.postMessage(Buffer.from(key.publicKey).toString('hex'));
