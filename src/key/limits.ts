import type { Config } from '../config.ts';
import type { KeyLimits } from './protocol.ts';

/** What key actors have to know of the configuration. */
export function keyLimits({ limits, maxClockSkew, maxFutureEvent, answerUnknown }: Config): KeyLimits {
  return {
    maxClockSkew,
    maxFutureEvent,
    answerUnknown,
    clientRate: limits.clientRate,
    clientBurst: limits.clientBurst,
    requestDeadline: limits.requestDeadline,
    maxContent: limits.content,
  };
}
