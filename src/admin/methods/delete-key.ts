import * as z from 'zod/mini';
import { name } from './fields.ts';
import { notYetUnlocked } from './known-key.ts';
import { method } from './method.ts';

/**
 * `delete_key` [keyName] -> ["ok"]: nothing is signed with it any more and its actor ends. The sealed file stays, and
 * the name stays taken. Deleting it again ends what may still hold it.
 */
export const deleteKey = method({
  params: ['keyName'],
  schema: z.object({ keyName: name }),
  changes: true,
  touches: ({ keyName }) => [`key:${keyName}`, 'users'],
  target: ({ keyName }) => keyName,
  run: async ({ keyName }, desk, { leave }) => {
    const row = await desk.policy.ask('findKey', { name: keyName });
    if (row?.pubkey === '') return { ok: false, error: notYetUnlocked(keyName) };
    const deleted = await desk.policy.ask('deleteKey', { name: keyName });
    if (!deleted.ok) return { ok: false, error: deleted.refusal };
    leave();
    const ended = await desk.main.ask('lockKeys', { names: [keyName], deleted: true });
    // Its thread has ended: it asks nothing more.
    desk.approvals.forgetKey(keyName);
    return ended.ok ? { ok: true, result: '["ok"]' } : { ok: false, error: ended.refusal };
  },
});
