import * as z from 'zod/mini';
import type { Desk } from '../desk.ts';
import { method } from './method.ts';
import { iso } from './rows.ts';

/** `ping` [] -> ok */
export const ping = method({
  params: [],
  schema: z.object({}),
  run: async () => ({ ok: true, result: 'ok' }),
});

/** `get_status` [] -> JSON: the daemon as it sees itself. */
export const getStatus = method({
  params: [],
  schema: z.object({}),
  run: async (_params, desk) => {
    const [daemon, records] = await Promise.all([desk.main.ask('status', null), policyStatus(desk)]);
    return { ok: true, result: JSON.stringify({ ...daemon, ...records }) };
  },
});

/** A policy actor that does not answer is a state too, and the one that an operator asks for the status in. */
async function policyStatus(desk: Desk): Promise<object> {
  try {
    const { schemaVersion, writable, lastWrite, failure, auditRows, waiting } = await desk.policy.ask('status', null);
    return { schemaVersion, audit: { writable, lastWrite: iso(lastWrite), failure, rows: auditRows, waiting } };
  } catch {
    const failure = 'the policy actor does not answer';
    return { schemaVersion: null, audit: { writable: false, lastWrite: null, failure, rows: null, waiting: null } };
  }
}
