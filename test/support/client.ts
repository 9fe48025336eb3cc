/** One client of one library, in a process of its own, played over the process's channel. See clients.ts */
import { libraries } from './client-libraries.ts';
import type { SignerClient } from './clients.ts';

const [library, bunkerUrl, clientKey] = process.argv.slice(2);
let client: SignerClient | undefined;

process.on('message', async ({ id, method, args }: { id: number; method: string; args: unknown[] }) => {
  try {
    if (method === 'open') client = await libraries[Number(library)]!.open(bunkerUrl!, clientKey!);
    const work =
      method === 'open'
        ? undefined
        : (client as unknown as Record<string, (...args: unknown[]) => unknown>)[method]!(...args);
    process.send!({ id, value: await work });
  } catch (error) {
    // NDK rejects with the text itself.
    process.send!({ id, error: error instanceof Error ? error.message : String(error) });
  }
});
