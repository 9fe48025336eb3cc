import * as z from 'zod/mini';
import { npubEncode } from '../npub.ts';
import { page } from './fields.ts';
import { method } from './method.ts';
import { iso, rowsAnswer } from './rows.ts';

/** `get_keys` [page?] -> JSON array: unlocked `{name, npub, userCount, tokenCount}`, locked `{name}`, and additions. */
export const getKeys = method({
  params: ['page'],
  schema: z.object({ page: z.optional(page) }),
  run: async ({ page }, desk) => {
    const [rows, unlocked] = await Promise.all([desk.policy.ask('listKeys', null), desk.main.ask('unlocked', null)]);
    const active = new Map(unlocked.map((key) => [key.pubkey, key.active]));
    const list = rows
      .filter((key) => key.deletedAt === null)
      .map((key) => {
        const locked = !active.has(key.pubkey);
        const { name, pubkey, userCount, tokenCount } = key;
        // A key of nsecbunker.json that nobody has unlocked yet.
        if (pubkey === '') return { full: { name, locked: true, active: false }, lean: { name } };
        const lean = locked ? { name } : { name, npub: npubEncode(pubkey), userCount, tokenCount };
        const added = { pubkey, locked, active: active.get(pubkey) ?? false, createdAt: iso(key.createdAt) };
        return { full: { ...lean, ...added }, lean };
      });
    return rowsAnswer(list, page);
  },
});
