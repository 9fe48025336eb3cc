/** A key actor's thread that can be told to fail. It listens on a channel of its own; the actor knows nothing of it. */
import { parentPort } from 'node:worker_threads';
import '../../workers/key.ts';

export type Fault = 'throw' | 'exit' | 'memory' | 'loop';

/** Name of the key that this thread holds, taken from the message that gives it. */
let keyName: string | undefined;
parentPort!.on('message', (batch: unknown[][]) => {
  for (const frame of batch) {
    const body = frame.at(-1);
    if (frame.includes('activate')) keyName = (body as { keyName: string }).keyName;
  }
});

const channel = new BroadcastChannel('fault');
channel.onmessage = (event) => {
  const { key, fault } = (event as unknown as { data: { key: string; fault: Fault } }).data;
  if (key !== keyName) return;
  switch (fault) {
    case 'throw':
      throw new RangeError('a fault');
    case 'exit':
      process.exit(3);
      break;
    case 'memory': {
      const hoard: object[] = [];
      for (;;) hoard.push(Array.from({ length: 1000 }, () => ({})));
    }
    case 'loop':
      for (;;);
    default:
      fault satisfies never;
  }
};
(channel as unknown as { unref(): void }).unref();
