import { openAdmin } from '../../test/support/rpc.ts';
import { Load } from '../load/load.ts';
import type { BoundClient } from '../load/protocol.ts';
import { LIMITS } from '../peers/redoubt.ts';
import type { RunningSigner } from '../peers/signer.ts';
import { type Installation, PASSPHRASE, prepareInstallation, type Wanted } from './installation.ts';

const SWEEP_MS = 600_000;

/** What unlock_keys answers. */
interface Swept {
  success: number;
  failed?: unknown[];
}

/** Unlocks all keys of a running installation. @returns ms that the answer took */
export async function sweep({ daemon, passphrases, clients }: Installation): Promise<number> {
  const { relay, daemon_pubkey } = daemon.quickstart;
  const admin = await openAdmin(daemon.adminSecretKey(), daemon_pubkey, relay);
  try {
    const several = Object.keys(passphrases).length > 0;
    const options = several ? { passphrases } : { passphrase: PASSPHRASE };
    const before = performance.now();
    const answer = await admin.call('unlock_keys', [JSON.stringify(options)], { timeoutMs: SWEEP_MS });
    const ms = performance.now() - before;
    if (answer.error) throw new Error(`unlock_keys: ${answer.error}`);
    const { success } = JSON.parse(answer.result) as Swept;
    if (success < clients.length) throw new Error(`unlock_keys unlocked ${success} of ${clients.length}`);
    return ms;
  } finally {
    admin.close();
  }
}

export interface Unlocked extends RunningSigner {
  installation: Installation;
  /** From the start of the process to ready, ms; keys are unlocked after it. */
  startMs: number;
}

/** A prepared installation that runs, with all its keys unlocked. */
export async function startUnlocked(wanted: Wanted): Promise<Unlocked> {
  const installation = await prepareInstallation({ ...wanted, env: { ...LIMITS, ...wanted.env } });
  const { daemon, clients } = installation;
  const before = performance.now();
  let startMs: number;
  try {
    await daemon.start();
    startMs = performance.now() - before;
    await sweep(installation);
  } catch (error) {
    await daemon.remove();
    throw error;
  }
  const { relay } = daemon.quickstart;
  return { pid: daemon.pid, relay, clients, installation, startMs, close: () => daemon.remove() };
}

/** The load of some of its clients. */
export function loadOf(signer: RunningSigner, clients: BoundClient[] = signer.clients): Promise<Load> {
  return Load.start({ ...signer, clients });
}
