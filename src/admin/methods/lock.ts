import * as z from 'zod/mini';
import type { Answer } from '../answer.ts';
import type { Desk } from '../desk.ts';
import { name } from './fields.ts';
import { method } from './method.ts';

/** `lock_key` [keyName] -> ["ok"]; ends the key's actor at once and keeps it locked over restarts. */
export const lockKey = method({
  params: ['keyName'],
  schema: z.object({ keyName: name }),
  changes: true,
  actsFirst: true,
  touches: ({ keyName }) => [`key:${keyName}`],
  target: ({ keyName }) => keyName,
  run: async ({ keyName }, desk) => {
    desk.locks.lock(keyName);
    const locked = await desk.main.ask('lockKeys', { names: [keyName] });
    let kept = await keepLocked(desk, [keyName]);
    if (kept !== null) {
      // The key may be in the making: it is there when what is ahead of this has ended.
      await desk.queue.ended(`key:${keyName}`);
      const names = await keyNames(desk);
      if (names !== null && !names.includes(keyName)) {
        return { ok: false, error: `no key named "${keyName}": get_keys lists them` };
      }
      kept = await keepLocked(desk, [keyName]);
    }
    if (!locked.ok) return { ok: false, error: locked.refusal };
    return kept ?? { ok: true, result: '["ok"]' };
  },
});

/** `lock_keys` [] -> {"locked": n}: the kill switch. */
export const lockKeys = method({
  params: [],
  schema: z.object({}),
  changes: true,
  actsFirst: true,
  target: () => 'every key',
  run: async (_params, desk) => {
    desk.locks.lockAll();
    const unlocked = await desk.main.ask('unlocked', null);
    const locked = await desk.main.ask('lockKeys', { names: unlocked.map((key) => key.name), every: true });
    if (!locked.ok) return { ok: false, error: locked.refusal };
    // Keys that nobody has unlocked yet stay locked too: a restart must not open them.
    const names = await keyNames(desk);
    const kept = await keepLocked(desk, names ?? unlocked.map((key) => key.name));
    if (names === null) return notKept('the policy actor does not answer');
    return kept ?? { ok: true, result: JSON.stringify({ locked: locked.value }) };
  },
});

async function keyNames(desk: Desk): Promise<string[] | null> {
  try {
    return (await desk.policy.ask('listKeys', null)).filter((key) => key.deletedAt === null).map((key) => key.name);
  } catch {
    return null;
  }
}

/** Makes the locks durable; what was locked in memory stays locked even if that fails. */
async function keepLocked(desk: Desk, names: readonly string[]): Promise<Answer | null> {
  const outcomes = await Promise.allSettled(names.map((name) => desk.policy.ask('setLocked', { name, locked: true })));
  for (const outcome of outcomes) {
    if (outcome.status === 'rejected') return notKept('the policy actor does not answer');
    if (!outcome.value.ok) return notKept(outcome.value.refusal);
  }
  return null;
}

function notKept(why: string): Answer {
  return { ok: false, error: `locked now, but a restart may unlock it again: it could not be recorded (${why})` };
}
