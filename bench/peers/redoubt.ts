import { TestDaemon } from '../../test/support/daemon.ts';
import { createPolicy, issueToken } from '../../test/support/provision.ts';
import { openAdmin, parseBunkerUrl, RpcClient } from '../../test/support/rpc.ts';
import type { BoundClient } from '../load/protocol.ts';
import { newSecretKey, type RunningSigner } from './signer.ts';

/** Limits that would answer for the signer when one client asks as fast as it can. Everything else is as it comes. */
export const LIMITS = {
  REDOUBT_LIMITS_CLIENT_RATE: '1000000',
  REDOUBT_LIMITS_CLIENT_BURST: '1000000',
  REDOUBT_LIMITS_STRANGERS_PER_KEY: '1000',
  REDOUBT_LIMITS_STRANGERS_TOTAL: '10000',
};

export interface RedoubtOptions {
  curve: string;
  /** Program to run instead of the built daemon. */
  entry?: string;
  /** Further arguments. */
  args?: string[];
  env?: Record<string, string>;
}

/** Keys that are made at the same time. */
const AT_ONCE = 5;

/** The built daemon with its embedded relay and its durable audit log, and so many keys that each have a thread. */
export async function startRedoubt(keys: number, { curve, entry, args, env }: RedoubtOptions): Promise<RunningSigner> {
  const daemon = new TestDaemon({
    ...(entry === undefined ? {} : { entry }),
    ...(args === undefined ? {} : { args }),
    env: {
      ...LIMITS,
      REDOUBT_CURVE: curve,
      REDOUBT_MAX_ACTIVE_KEYS: String(keys + 1),
      // Only what making the keys costs, which is not measured.
      REDOUBT_KEYSTORE_LOG_N: '14',
      ...env,
    },
  });
  try {
    await daemon.start();
    const clients = await makeKeys(daemon, keys);
    return {
      pid: daemon.pid,
      stop: () => daemon.stop(),
      relay: daemon.quickstart.relay,
      clients,
      close: () => daemon.remove(),
    };
  } catch (error) {
    await daemon.remove();
    throw error;
  }
}

async function makeKeys(daemon: TestDaemon, keys: number): Promise<BoundClient[]> {
  const { relay, daemon_pubkey } = daemon.quickstart;
  const admin = await openAdmin(daemon.adminSecretKey(), daemon_pubkey, relay);
  const policy = await createPolicy(admin, 'bench', [{ method: 'sign_event', kind: 'all' }]);
  const clients: BoundClient[] = [];
  const names = Array.from({ length: keys }, (_, i) => `bench-${i}`);
  while (names.length > 0) {
    const some = names.splice(0, AT_ONCE).map(async (name) => {
      await admin.result('create_new_key', [name, 'a passphrase of the benchmark']);
      return pair((await issueToken(admin, name, policy)).bunker_url);
    });
    clients.push(...(await Promise.all(some)));
  }
  admin.close();
  return clients;
}

async function pair(bunkerUrl: string): Promise<BoundClient> {
  const { pubkey: remote, relays, secret } = parseBunkerUrl(bunkerUrl);
  const secretKey = newSecretKey();
  const client = await new RpcClient(Uint8Array.from(Buffer.from(secretKey, 'hex')), remote).open(relays[0]!);
  await client.result('connect', [remote, secret]);
  client.close();
  return { secretKey, remote };
}
