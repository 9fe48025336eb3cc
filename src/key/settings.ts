import type { Config } from '../config.ts';
import type { KeySettings } from './protocol.ts';

/** What keys and their threads are configured with. @param relays the advertised ones, sorted */
export function keySettings(config: Config, relays: string[]): KeySettings & { keyQueue: number } {
  const { limits, maxClockSkew, maxFutureEvent, answerUnknown } = config;
  return {
    limits: {
      maxClockSkew,
      maxFutureEvent,
      answerUnknown,
      clientRate: limits.clientRate,
      clientBurst: limits.clientBurst,
      requestDeadline: limits.requestDeadline,
      maxContent: limits.content,
    },
    keyQueue: limits.keyQueue,
    relays,
  };
}
