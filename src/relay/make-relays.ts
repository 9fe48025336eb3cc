import type { Clock } from '../actor/clock.ts';
import type { Config } from '../config.ts';
import type { LogLine } from '../policy/protocol.ts';
import { version } from '../version.ts';
import { ClientRelays } from './client-relays.ts';
import { RelayCounts } from './counts.ts';
import { EmbeddedRelay } from './embedded.ts';
import { HandledIds } from './handled.ts';
import type { Authenticators } from './link-auth.ts';
import { publicLookup } from './public-address.ts';
import { Relays } from './relays.ts';

export interface RelayNeeds {
  clock: Clock;
  log: (line: LogLine) => void;
  /** Is this pubkey one whose requests are ours to verify? */
  isOurs(pubkey: string): boolean;
  verify(raw: string): Promise<boolean | 'busy'>;
  /** A signed event of the daemon's to itself. */
  makeProbe(): Promise<string>;
  auth: Required<Authenticators>;
}

const random = Math.random;

/** Everything that the configuration wants of relays; nothing is connected yet. */
export function makeRelays(
  config: Config,
  needs: RelayNeeds,
): { embedded: EmbeddedRelay | undefined; relays: Relays; clientRelays: ClientRelays } {
  const { relays: urls, adminRelays, embeddedRelay, maxClockSkew, limits, allowPrivateRelays } = config;
  const { clock, log, makeProbe, auth } = needs;
  const embedded = embeddedRelay.enabled ? makeEmbedded(config, needs) : undefined;
  const counts = embedded?.counts ?? new RelayCounts();
  const relays = new Relays({
    urls: [...new Set([...urls, ...adminRelays])],
    ...(embedded === undefined ? {} : { embedded }),
    clock,
    random,
    handled: new HandledIds({ windowMs: 2 * maxClockSkew * 1000, maxIds: 262_144, random }),
    log,
    counts,
    makeProbe,
    auth,
  });
  const clientRelays = new ClientRelays({
    relays,
    clock,
    random,
    counts,
    log,
    // The daemon's key is nobody's business there.
    auth: { key: auth.key },
    lookup: allowPrivateRelays ? undefined : publicLookup(),
    most: limits.clientRelays,
  });
  return { embedded, relays, clientRelays };
}

function makeEmbedded({ embeddedRelay, maxClockSkew, limits }: Config, needs: RelayNeeds): EmbeddedRelay {
  return new EmbeddedRelay({
    host: embeddedRelay.listen.host,
    port: embeddedRelay.listen.port,
    clock: needs.clock,
    random,
    isOurs: needs.isOurs,
    verify: async (raw) => {
      const verified = await needs.verify(raw);
      if (verified === 'busy') throw new Error('busy');
      return verified;
    },
    software: { name: 'redoubt', version },
    limits: { maxContent: limits.content, skew: maxClockSkew },
  });
}
