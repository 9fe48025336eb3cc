import { eachCondition } from '../../../prisma-compat/conditions.ts';
import { readDateTime } from '../../../prisma-compat/date-time.ts';
import { Redeemed } from '../../../prisma-compat/photocopies.ts';
import { selectFrom } from '../columns.ts';
import { type Finding, finding } from './finding.ts';
import type { Opened } from './patient.ts';

interface Client {
  name: string;
  revoked: boolean;
}

/** What nsecbunkerd copied from policies, and what somebody allowed by hand. */
export function examineConditions({ db, now }: Opened): Finding[] {
  const redeemed = new Redeemed(db);
  const living = new Redeemed(db, now);
  const clients = readClients();
  let copies = 0;
  const revoked = new Set<number>();
  const alone = new Set<number>();
  const byHand = new Set<number>();
  for (const row of eachCondition(db)) {
    const sort = redeemed.sortOf(row, now);
    const keyUserId = row.keyUserId as number;
    if (sort === 'override' && row.method !== 'connect') byHand.add(keyUserId);
    if (sort !== 'photocopy' && sort !== 'connect') continue;
    copies++;
    // A copy that has expired allows nothing any more.
    if (sort === 'connect' || row.expiresAt !== null) continue;
    if (clients.get(keyUserId)?.revoked === true) revoked.add(keyUserId);
    else if (living.sortOf(row, now) !== 'photocopy') alone.add(keyUserId);
  }
  const findings: Finding[] = [];
  const names = (ids: ReadonlySet<number>) => [...ids].map((id) => clients.get(id)?.name ?? `user ${id}`);
  if (copies > 0) {
    findings.push(finding('photocopies', `${copies} permissions were copied from policies and outlive them`));
  }
  if (revoked.size > 0) {
    const message = `${revoked.size} revoked clients still have copied permissions, which come back if revokedAt is cleared by hand`;
    findings.push(finding('photocopies-of-revoked', message, names(revoked)));
  }
  if (alone.size > 0) {
    const message = `${alone.size} clients may do something by a copy alone: the token or policy it came from is dead`;
    findings.push(finding('photocopies-alone', message, names(alone)));
  }
  if (byHand.size > 0) {
    const message = `${byHand.size} clients have permissions that were set by hand`;
    findings.push(finding('manual-overrides', message, names(byHand)));
  }
  return findings;

  function readClients(): Map<number, Client> {
    const rows = db
      .prepare(selectFrom(db, 'KeyUser', ['id', 'keyName', 'userPubkey', 'revokedAt']))
      .iterate() as IterableIterator<{ id: number; keyName: string; userPubkey: string; revokedAt: unknown }>;
    const found = new Map<number, Client>();
    for (const { id, keyName, userPubkey, revokedAt } of rows) {
      found.set(id, { name: `${keyName} ${userPubkey} (user ${id})`, revoked: readDateTime(revokedAt) !== null });
    }
    return found;
  }
}
