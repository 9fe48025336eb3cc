import type { Clock } from '../../actor/clock.ts';
import { AuditRows } from '../../store/audit-rows.ts';
import { matchesAudit } from '../audit-filter.ts';
import type { PolicyEngine } from '../engine.ts';
import type { AuditFilter, LoggedRow, Outcome } from '../protocol.ts';

/** Rows looked at before others have their turn at the database. */
const STEP = 2000;
/** An admin's question gives up before the answer would come too late, ms. */
const PATIENCE_MS = 6000;
/** Rows are in the order of writing; a clock that was set back by more than this may hide some of them from `since`. */
const CLOCK_SLACK_MS = 86_400_000;

/** The newest rows that match, looked for backwards in steps: a long log must not keep requests waiting. */
export async function listAudit(
  engine: PolicyEngine,
  clock: Clock,
  filter: AuditFilter,
): Promise<Outcome<LoggedRow[]>> {
  const rows = new AuditRows(engine.store.db);
  const giveUp = clock.mono() + PATIENCE_MS;
  const oldest = filter.since === null ? Number.NEGATIVE_INFINITY : filter.since - CLOCK_SLACK_MS;
  const found: LoggedRow[] = [];
  let skip = filter.offset;
  let before = Number.MAX_SAFE_INTEGER;
  for (;;) {
    const step = await engine.commits.alone(async () => rows.before(before, STEP));
    for (const row of step) {
      if (!matchesAudit(row, filter)) continue;
      if (skip > 0) skip--;
      else found.push(row);
      if (found.length === filter.limit) return { ok: true, value: found };
    }
    const last = step.at(-1);
    if (last === undefined || last.timestamp < oldest) return { ok: true, value: found };
    before = last.id;
    if (clock.mono() > giveUp) {
      const refusal = `looked back to ${new Date(last.timestamp).toISOString()} and ran out of time: give a later "since", or use "redoubt audit export"`;
      return { ok: false, refusal };
    }
  }
}
