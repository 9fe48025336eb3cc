import type { Desk } from './desk.ts';
import type { LogType } from './journal.ts';
import type { Asked } from './protocol.ts';
import type { Binding } from './records.ts';

export interface Carried {
  type: LogType;
  keyName: string;
  asked: Asked;
  method: string;
  kind: number | null;
  eventId: string | null;
  grant: string;
  keyUserId: Binding['keyUserId'];
  /** Carried out before under another envelope: recorded, not counted. */
  retry: boolean;
}

/** Records a request that is allowed, and remembers it; durable when the batch is. @throws what the journal throws. */
export function recordRequest(desk: Desk, carried: Carried): void {
  const { asked, keyName } = carried;
  desk.journal.append({
    type: carried.type,
    method: carried.method,
    keyUserId: carried.keyUserId,
    params: {
      keyName,
      key: desk.index.key(keyName).pubkey,
      client: asked.client,
      kind: carried.kind,
      event: carried.eventId,
      grant: carried.grant,
      request: asked.requestId,
      envelope: asked.envelope,
      body: asked.body,
      retry: carried.retry,
    },
  });
  desk.journal.touch(carried.keyUserId);
  // A retry does not lengthen the memory of its first try, in this run or the next.
  desk.replay.stage({ envelope: asked.envelope, body: carried.retry ? null : asked.body });
}
