import type { Clock } from '../actor/clock.ts';
import type { Config } from '../config.ts';
import type { Keys } from '../key/keys.ts';
import { RelayAuths } from '../key/relay-auths.ts';
import type { VerifyPool } from '../nip46/verify-pool.ts';
import type { LogLine } from '../policy/protocol.ts';
import { ClientRelays } from './client-relays.ts';
import { connectedRelays } from './connected.ts';
import { RelayCounts } from './counts.ts';
import type { EmbeddedRelay } from './embedded.ts';
import { embeddedOf, notListening } from './embedded-of.ts';
import { HandledIds } from './handled.ts';
import type { Authenticators } from './link-auth.ts';
import { publicLookup } from './public-address.ts';
import { Relays } from './relays.ts';

export interface RelayNeeds {
  clock: Clock;
  log: (line: LogLine) => void;
  verify: VerifyPool;
  keys: Keys;
  isDaemon(pubkey: string): boolean;
  /** A signed event of the daemon's to itself. */
  makeProbe(): Promise<string>;
  /** NIP-42's event of the daemon's key. */
  signIn(relay: string, challenge: string): Promise<string | null>;
}

const random = Math.random;

/** Everything that the configuration wants of relays; nothing is connected yet. */
export function makeRelays(
  config: Config,
  needs: RelayNeeds,
): { embedded: EmbeddedRelay | undefined; relays: Relays; clientRelays: ClientRelays } {
  const { embeddedRelay, maxClockSkew, limits, allowPrivateRelays } = config;
  const { clock, log, verify, keys, isDaemon, makeProbe, signIn } = needs;
  const isOurs = (pubkey: string) => isDaemon(pubkey) || keys.get(pubkey)?.listens === true;
  const embedded = embeddedRelay.enabled ? embeddedOf(config, { clock, random, verify, isOurs }) : undefined;
  const keyAuths = new RelayAuths({ clock, get: (pubkey) => keys.get(pubkey) });
  const key: Authenticators['key'] = (pubkey, relay, challenge) => keyAuths.sign(pubkey, relay, challenge);
  const counts = embedded?.counts ?? new RelayCounts();
  const relays = new Relays({
    urls: connectedRelays(config),
    ...(embedded === undefined ? {} : { embedded }),
    clock,
    random,
    handled: new HandledIds({ windowMs: 2 * maxClockSkew * 1000, maxIds: 262_144, random }),
    log,
    counts,
    makeProbe,
    auth: { daemon: signIn, key },
  });
  const clientRelays = new ClientRelays({
    relays,
    clock,
    random,
    counts,
    log,
    // The daemon's key is nobody's business there.
    auth: { key },
    lookup: allowPrivateRelays ? undefined : publicLookup(),
    most: limits.clientRelays,
  });
  return { embedded, relays, clientRelays };
}

/** @throws StartRefusal when the embedded relay cannot listen */
export async function startRelays(relays: Relays, { embeddedRelay }: Config): Promise<void> {
  await relays.start().catch((error) => {
    throw notListening(embeddedRelay.listen, error);
  });
}
