import type { Clock } from '../actor/clock.ts';
import type { ListenAddress } from '../config/values.ts';
import type { Config } from '../config.ts';
import type { VerifyPool } from '../nip46/verify-pool.ts';
import { StartRefusal } from '../start-refusal.ts';
import { version } from '../version.ts';
import { EmbeddedRelay } from './embedded.ts';

/** What the embedded relay needs besides its configuration. */
interface Around {
  clock: Clock;
  random: () => number;
  verify: VerifyPool;
  /** Whether it takes events for this public key. */
  isOurs(pubkey: string): boolean;
}

/** The embedded relay as it is configured. */
export function embeddedOf(config: Config, { clock, random, verify, isOurs }: Around): EmbeddedRelay {
  const { embeddedRelay, maxClockSkew, limits } = config;
  return new EmbeddedRelay({
    ...embeddedRelay.listen,
    clock,
    random,
    isOurs,
    verify: async (raw) => {
      const verified = await verify.verify(raw);
      if (verified === 'busy') throw new Error('busy');
      return verified;
    },
    software: { name: 'redoubt', version },
    limits: { maxContent: limits.content, skew: maxClockSkew },
  });
}

/** Why the embedded relay does not start, as the operator reads it; what is no fault of the address stays what it is. */
export function notListening({ host, port }: ListenAddress, error: NodeJS.ErrnoException): Error {
  if (error.syscall !== 'listen' && error.syscall !== 'getaddrinfo') return error;
  const where = `the embedded relay cannot listen on ${host.includes(':') ? `[${host}]` : host}:${port} (${error.code})`;
  return new StartRefusal(`${where}: choose another address with embeddedRelay.listen (REDOUBT_RELAY_LISTEN)`, 1);
}
