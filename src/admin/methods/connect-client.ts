import * as z from 'zod/mini';
import { asSecret, wipe } from '../../actor/protocol.ts';
import { handOnSecret } from '../../actor/secret-port.ts';
import { type Invitation, readInvitation } from '../../nip46/nostrconnect.ts';
import type { Introduced } from '../../policy/introduced.ts';
import type { Outcome } from '../../policy/protocol.ts';
import type { Desk } from '../desk.ts';
import { id, name } from './fields.ts';
import { keyExists, noSuchKey } from './known-key.ts';
import { method } from './method.ts';
import { done } from './outcomes.ts';

/** How long the client's relays may take to be reached, and then to take the response, ms; a little more than that. */
const REACH_MS = 12_000;
const TELL_MS = 10_000;

/**
 * `connect_client` [nostrconnect URI, keyName, policyId] -> ["ok"], once one of the client's relays has taken the
 * response (NIP-46). All or nothing: what fails on the way leaves no grant.
 */
export const connectClient = method({
  params: ['uri', 'keyName', 'policyId'],
  schema: z.object({
    uri: z.string('must be text').check(z.minLength(1, 'is empty')),
    keyName: name,
    policyId: id,
  }),
  changes: true,
  touches: ({ keyName }) => [`key:${keyName}`, 'policies'],
  target: ({ keyName }) => keyName,
  run: async ({ uri, keyName, policyId }, desk, call) => {
    const read = readInvitation(uri, desk.settings.allowPrivateRelays);
    if (!read.ok) return { ok: false, error: `Invalid params: ${read.refusal}` };
    if (!(await keyExists(desk, keyName))) return { ok: false, error: noSuchKey(keyName) };
    const policies = await desk.policy.ask('listPolicies', null);
    if (!policies.some((policy) => policy.id === policyId)) {
      return { ok: false, error: `no policy ${policyId}: get_policies lists them` };
    }
    // Key, policy and client are looked at again in the transaction.
    call.leave();
    const { client, relays, label } = read.invitation;
    const wanted = { keyName, client, relays, label, policyId, createdBy: call.admin, askedAt: call.arrivedAt };
    return done(await introduce(desk, wanted, read.invitation));
  },
});

async function introduce(desk: Desk, wanted: Introduced, { secret }: Invitation): Promise<Outcome<null>> {
  const { keyName, client, relays } = wanted;
  const introducing = { keyName, client, relays };
  const reached = await desk.main.ask('reachClient', introducing, { timeoutMs: REACH_MS });
  if (!reached.ok) return reached;
  const introduced = await desk.policy.ask('introduceClient', wanted);
  if (!introduced.ok) {
    desk.main.tell('leaveClient', { keyName, client });
    return introduced;
  }
  const bytes = asSecret(new TextEncoder().encode(secret));
  const port = handOnSecret(bytes);
  wipe(bytes);
  const told = await desk.main
    .ask('tellClient', { ...introducing, secret: port }, { timeoutMs: TELL_MS, transfer: [port] })
    .catch(() => ({ ok: false as const, refusal: 'the client could not be told' }));
  if (told.ok) return told;
  const undone = await desk.policy.ask('forgetClient', introduced.value);
  if (undone.ok) return { ok: false, refusal: `${told.refusal}; the client was not connected, try again` };
  return { ok: false, refusal: `${told.refusal}, and that could not be undone (${undone.refusal}): revoke the client` };
}
