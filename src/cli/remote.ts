import type { Command } from 'commander';
import { systemClock } from '../actor/clock.ts';
import { wipe } from '../actor/protocol.ts';
import { AdminClient } from '../admin/client.ts';
import type { Param } from '../admin/encode-request.ts';
import { forcedCurve } from '../curve/forced.ts';
import { loadCurve } from '../curve/load.ts';
import { pooledRandom } from '../curve/random.ts';
import { type AccessOptions, adminAccess, readAdminKey } from './admin-access.ts';
import { installationCommand } from './installation-command.ts';
import { withCommands } from './named-commands.ts';
import { EXIT, Refusal } from './refusal.ts';

/** A derivation may wait for others, ms. */
export const DERIVATION_MS = 120_000;

/** One derivation for each passphrase of the fleet, ms. */
export const SWEEP_MS = 600_000;

/** Options of every command on a running daemon. */
export interface RemoteOptions extends AccessOptions {
  json?: boolean;
}

/** A command on a running daemon. */
export function remoteCommand(name: string, description: string): Command {
  return installationCommand(name, description)
    .option('--admin-key-file <file>', 'private key of an admin: nsec or hex')
    .option('--json', 'print one JSON document');
}

/** Calls admin methods; refusals are thrown. */
export type Call = (method: string, params?: readonly Param[], timeoutMs?: number) => Promise<string>;

/** Refuses what cannot work before anybody types a passphrase for it. @throws Refusal */
export function checkAccess(options: AccessOptions): void {
  adminAccess(options, process.env, process.cwd());
}

/** Connects to the daemon as an admin for as long as `use` takes. @throws Refusal */
export async function withDaemon<T>(options: AccessOptions, use: (call: Call) => Promise<T>): Promise<T> {
  const { daemonPubkey, relays, adminKeyFile } = adminAccess(options, process.env, process.cwd());
  const curve = await loadCurve(forcedCurve(process.env));
  const adminKey = readAdminKey(adminKeyFile);
  const connected = await AdminClient.connect({
    relays,
    daemonPubkey,
    adminKey,
    curve,
    clock: systemClock,
    random: pooledRandom(),
  })
    .catch((error) => {
      if (!(error instanceof RangeError)) throw error;
      throw new Refusal(`the admin key file ${adminKeyFile} holds no valid private key`, EXIT.configuration);
    })
    .finally(() => wipe(adminKey));
  if (!connected.ok) throw new Refusal(connected.refusal);
  try {
    return await use(async (method, params, timeoutMs) => {
      const called = await connected.client.call(method, params, timeoutMs);
      if (called.ok) return called.result;
      throw new Refusal(withCommands(called.refusal));
    });
  } finally {
    connected.client.close();
  }
}
