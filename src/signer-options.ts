import type { Clock } from './actor/clock.ts';
import type { CurveChoice } from './curve/curve.ts';
import type { AutounlockSources } from './keystore/protocol.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';

/** What a daemon is started with, besides its configuration. */
export interface SignerOptions {
  configPath: string;
  /** The data folder of a quickstart. */
  quickstart: string | null;
  /** The curve that the environment names. */
  curve: CurveChoice | null;
  allowEmptyDatabase: boolean;
  /** False: a database that needs a migration is refused. */
  migrate: boolean;
  autounlock: AutounlockSources;
  clock: Clock;
  log: Log;
  metrics: Metrics;
  /** An actor that the signer cannot do without is in a crash loop: the process must end. */
  fatal: (reason: string) => void;
}
