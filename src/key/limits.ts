import type { Config } from '../config.ts';
import type { KeyLimits } from './protocol.ts';

/** What of the configuration a key actor holds clients to. */
export function keyLimits({ limits, maxClockSkew, maxFutureEvent, answerUnknown }: Config): KeyLimits {
  const { clientRate, clientBurst, requestDeadline, content: maxContent } = limits;
  return { maxClockSkew, maxFutureEvent, answerUnknown, clientRate, clientBurst, requestDeadline, maxContent };
}
