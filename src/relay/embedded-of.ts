import type { Clock } from '../actor/clock.ts';
import type { Config } from '../config.ts';
import type { VerifyPool } from '../nip46/verify-pool.ts';
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
