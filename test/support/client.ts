/** One client of one library, in a process of its own, played over the process's channel. See clients.ts */
import { libraries } from './client-libraries.ts';
import type { SignerClient } from './clients.ts';

const [index, address, clientKey] = process.argv.slice(2) as [string, string, string];
const library = libraries[Number(index)]!;
let client: SignerClient | undefined;
let accepted: Promise<SignerClient> | undefined;

/** Of the process, not of the client: how it comes to one. */
const beginnings: Record<string, () => Promise<unknown>> = {
  open: async () => {
    client = await library.open(address, clientKey);
  },
  invite: async () => {
    const invited = await library.invite!(address, clientKey);
    accepted = invited.accepted;
    return invited.uri;
  },
  accepted: async () => {
    client = await accepted;
  },
};

process.on('message', async ({ id, method, args }: { id: number; method: string; args: unknown[] }) => {
  try {
    const methods = client as unknown as Record<string, (...args: unknown[]) => unknown>;
    const begin = beginnings[method];
    process.send!({ id, value: await (begin === undefined ? methods[method]!(...args) : begin()) });
  } catch (error) {
    // NDK rejects with the text itself.
    process.send!({ id, error: error instanceof Error ? error.message : String(error) });
  }
});
