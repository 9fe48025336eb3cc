import { randomBytes } from 'node:crypto';
import type { Clock } from '../../src/actor/clock.ts';
import { PolicyEngine } from '../../src/policy/engine.ts';
import type { LogLine, PolicyOpenOptions } from '../../src/policy/protocol.ts';

export const MAX_CLOCK_SKEW_S = 600;

/** The policy engine on a file, told to nobody but `log`. What is tested with it is no power cut: nothing is flushed. @throws when it is refused */
export async function openEngine(
  databasePath: string,
  clock: Clock,
  options: Partial<PolicyOpenOptions> = {},
  log: (line: LogLine) => void = () => {},
): Promise<PolicyEngine> {
  const opened = await PolicyEngine.open(
    {
      databasePath,
      maxClockSkew: MAX_CLOCK_SKEW_S,
      auditRetentionDays: 36_500,
      kindsNotInAll: [],
      askForStrangers: false,
      reserved: [],
      keysInKeystore: 0,
      allowEmptyDatabase: false,
      ...options,
    },
    {
      clock,
      random: (n) => new Uint8Array(randomBytes(n)),
      log,
      bound: () => {},
      forgetClients: () => {},
      clientRelaysChanged: () => {},
      head: () => {},
    },
  );
  if (!opened.ok) throw new Error(opened.refusal);
  opened.engine.store.db.pragma('synchronous = OFF');
  return opened.engine;
}
