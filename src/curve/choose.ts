import type { VerifyPool } from '../nip46/verify-pool.ts';
import type { LogLine } from '../policy/protocol.ts';
import { EX_CONFIG, StartRefusal } from '../start-refusal.ts';
import type { CurveChoice, CurveName } from './curve.ts';

/**
 * The backend that all threads will use, tried in one of them: each trying for itself would cost it what loads in vain.
 *
 * @throws StartRefusal when a backend that was asked for by name does not load
 */
export async function chooseCurve(
  pool: VerifyPool,
  wanted: CurveChoice,
  log: (line: LogLine) => void,
): Promise<CurveName> {
  const chosen = await pool.choose(wanted);
  if (!chosen.ok) throw new StartRefusal(chosen.refusal, EX_CONFIG);
  const { curve, passedOver } = chosen;
  if (passedOver.length === 0) log({ level: 'info', message: `curve: ${curve}`, fields: {} });
  else log({ level: 'warn', message: `curve: ${curve}, since ${passedOver.join('; ')}`, fields: {} });
  return curve;
}
