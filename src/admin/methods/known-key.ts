import type { Desk } from '../desk.ts';

/** Whether there is such a key, and it was not deleted. */
export async function keyExists(desk: Desk, keyName: string): Promise<boolean> {
  const key = await desk.policy.ask('findKey', { name: keyName });
  return key !== null && key.deletedAt === null;
}

/** Nobody knows the pubkey of a key that nsecbunkerd left and that was never unlocked since. */
export function notYetUnlocked(keyName: string): string {
  return `nobody knows the public key of "${keyName}" yet: unlock it once, then ask again`;
}

export function noSuchKey(keyName: string): string {
  return `no key named "${keyName}": get_keys lists them`;
}
