import * as z from 'zod/mini';
import { name } from './fields.ts';
import { noSuchKey } from './known-key.ts';
import { method } from './method.ts';
import { done } from './outcomes.ts';

/**
 * `purge_key` [keyName] -> ["ok"]: removes a deleted key for good, its sealed file first, then its row, clients and
 * tokens. When it is cut short in between it may be repeated.
 */
export const purgeKey = method({
  params: ['keyName'],
  schema: z.object({ keyName: name }),
  changes: true,
  touches: ({ keyName }) => [`key:${keyName}`, 'users'],
  target: ({ keyName }) => keyName,
  run: async ({ keyName }, desk, { leave }) => {
    const row = await desk.policy.ask('findKey', { name: keyName });
    if (row === null) return { ok: false, error: noSuchKey(keyName) };
    if (row.deletedAt === null) return { ok: false, error: `key "${keyName}" is not deleted: delete it first` };
    leave();
    const removed = await desk.main.ask('purgeKey', { name: keyName, pubkey: row.pubkey });
    return removed.ok ? done(await desk.policy.ask('purgeKey', { name: keyName })) : done(removed);
  },
});
