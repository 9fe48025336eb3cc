import { systemClock } from '../actor/clock.ts';
import type { AuditEntry } from '../policy/audit-filter.ts';
import { callList } from './listed.ts';
import { show, table } from './output.ts';
import { EXIT, Refusal } from './refusal.ts';
import { type RemoteOptions, withDaemon } from './remote.ts';
import { parseSince } from './since.ts';

interface ListOptions extends RemoteOptions {
  key?: string;
  client?: string;
  since?: string;
  limit?: string;
}

const SHORT = 16;
const FEW = 100;

/** `redoubt audit list` @throws Refusal */
export async function listAudit(options: ListOptions): Promise<void> {
  const { key, client, since, limit } = options;
  if (limit !== undefined && !/^[1-9]\d{0,3}$/.test(limit)) {
    throw new Refusal('--limit is a number from 1 to 1000', EXIT.usage);
  }
  const filter = {
    ...(key === undefined ? {} : { key }),
    ...(client === undefined ? {} : { client }),
    ...(since === undefined ? {} : { since: parseSince(since, systemClock.now()) }),
  };
  const most = limit === undefined ? FEW : Number(limit);
  const params = [JSON.stringify(filter)];
  const entries = await withDaemon(options, (call) =>
    callList<AuditEntry>(call, 'get_audit', { params, most, details: true }),
  );
  const rows = entries.map(auditRow);
  const headings = ['ROW', 'TIME', 'TYPE', 'METHOD', 'KEY', 'WHO', 'WHAT'];
  show({ data: entries, text: table(headings, rows, 'no rows') }, options.json);
}

function auditRow({ id, timestamp, type, method, params }: AuditEntry): unknown[] {
  const said = typeof params === 'object' && params !== null ? params : {};
  const who = String(said.client ?? said.admin ?? said.sender ?? '').slice(0, SHORT);
  const what =
    type === 'admin'
      ? [said.target, said.outcome ?? said.phase, said.reason]
      : [said.kind === null || said.kind === undefined ? null : `kind ${said.kind}`, said.grant];
  return [id, timestamp, type, method, said.keyName, who, what.filter((part) => part).join(', ')];
}
