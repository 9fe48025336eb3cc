import type { Desk } from '../desk.ts';

/** Whether there is such a key, and it was not deleted. */
export async function keyExists(desk: Desk, keyName: string): Promise<boolean> {
  const key = await desk.policy.ask('findKey', { name: keyName });
  return key !== null && key.deletedAt === null;
}

export function noSuchKey(keyName: string): string {
  return `no key named "${keyName}": get_keys lists them`;
}
