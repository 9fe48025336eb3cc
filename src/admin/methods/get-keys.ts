import * as z from 'zod/mini';
import type { KeyRow } from '../../policy/protocol.ts';
import type { ListRow } from '../answer.ts';
import { npubEncode } from '../npub.ts';
import { page } from './fields.ts';
import { method } from './method.ts';
import { iso, listAnswer } from './rows.ts';

/**
 * `get_keys` [page?] -> JSON array: unlocked `{name, npub, userCount, tokenCount}`, locked `{name}`, and additions; with
 * details also whether a thread holds the key.
 */
export const getKeys = method({
  params: ['page'],
  schema: z.object({ page: z.optional(page) }),
  run: async ({ page = {} }, desk, { longest }) => {
    const unlocked = new Map((await desk.main.ask('unlocked', null)).map((key) => [key.pubkey, key]));
    return listAnswer(
      page,
      longest,
      (slice) => desk.policy.ask('pageKeys', slice),
      (key, details) => keyRow(key, unlocked.get(key.pubkey), details),
    );
  },
});

function keyRow(key: KeyRow, unlocked: { active: boolean } | undefined, details: boolean): ListRow {
  const { name, pubkey, userCount, tokenCount } = key;
  const locked = unlocked === undefined;
  const lean = locked ? { name } : { name, npub: npubEncode(pubkey), userCount, tokenCount };
  // A key of nsecbunker.json that nobody has unlocked yet.
  const known = pubkey === '' ? { locked } : { pubkey, locked, createdAt: iso(key.createdAt) };
  const full = { ...lean, ...known };
  if (!details) return { full, lean };
  const whole = { ...full, active: unlocked?.active === true };
  return { full: whole, lean: whole };
}
