import type { Clock } from '../actor/clock.ts';
import type { Lookups } from '../store/lookups.ts';
import type { Writes } from '../store/writes.ts';
import type { Advertised } from './advertised.ts';
import type { Surroundings } from './decide.ts';
import type { Denials } from './denials.ts';
import type { Index } from './index.ts';
import type { Journal } from './journal.ts';
import type { Passes } from './passes.ts';
import type { Asking, Refusal } from './protocol.ts';
import type { ReplayMemory } from './replay.ts';
import type { Reuses } from './reuses.ts';
import type { RuleName } from './rules.ts';

/** What one open database is decided with. */
export interface Desk {
  readonly clock: Clock;
  readonly lookups: Lookups;
  readonly writes: Writes;
  readonly index: Index;
  readonly journal: Journal;
  readonly replay: ReplayMemory;
  readonly denials: Denials;
  readonly reuses: Reuses;
  readonly passes: Passes;
  /** Whether admins are asked about clients that nobody has bound. */
  readonly askForStrangers: boolean;
  readonly kindsNotInAll: ReadonlySet<number>;
  readonly reserved: ReadonlySet<string>;
  readonly advertised: Advertised;
  /** Live bindings that have relays of their own may not be what they were; `added`: there is one more. */
  readonly clientRelaysChanged: (added?: boolean) => void;
  /** A client became one of a key's. */
  readonly bound: (keyName: string, client: string) => void;
}

/** What `decide` sees of it, for one key. */
export function surroundings(desk: Desk, keyName: string): Surroundings {
  const now = desk.clock.now();
  return {
    now,
    kindsNotInAll: desk.kindsNotInAll,
    reserved: desk.reserved,
    everBound: (client) => desk.index.binding(keyName, client) !== null,
    policy: (id) => desk.index.policy(id),
    expired: (record, expiresAt) => desk.index.expired(record, expiresAt, now),
  };
}

/** A request that was denied, on its way to the client. */
export function denied(
  desk: Desk,
  asked: { keyName: string; client: string; method: string },
  rule: RuleName,
  refusal: Refusal,
): { ok: false; refusal: Refusal } {
  desk.denials.note({ ...asked, rule, refusal });
  return { ok: false, refusal };
}

/** Refused unless an admin allows it. It is no denial yet. */
export function askFirst(ask: Asking): { ok: false; refusal: Refusal; ask: Asking } {
  return { ok: false, refusal: 'not authorized', ask };
}
