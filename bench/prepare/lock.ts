import { openAdmin } from '../../test/support/rpc.ts';
import type { Installation } from './installation.ts';

/** Locks keys of a running installation, so that they can be unlocked again. */
export async function lockAll({ daemon }: Installation, names: string[]): Promise<void> {
  const { relay, daemon_pubkey } = daemon.quickstart;
  const admin = await openAdmin(daemon.adminSecretKey(), daemon_pubkey, relay);
  try {
    for (const name of names) await admin.result('lock_key', [name]);
  } finally {
    admin.close();
  }
}
