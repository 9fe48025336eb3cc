import type { Clock } from '../actor/clock.ts';
import type { Link } from '../actor/link.ts';
import type { Body } from '../actor/protocol.ts';
import type { Permits } from '../keystore/permits.ts';
import type { Approvals } from './approvals.ts';
import type { Locks } from './locks.ts';
import type { PolicyLine } from './policy-line.ts';
import type { AdminToMain, MainToAdmin } from './protocol.ts';
import type { Queue } from './queue.ts';
import type { WrongPassphrases } from './wrong-passphrases.ts';

export type Settings = Body<MainToAdmin, 'settings'>;

/** What admin methods work with. */
export interface Desk {
  main: Link<AdminToMain, MainToAdmin>;
  policy: PolicyLine;
  settings: Settings;
  queue: Queue;
  locks: Locks;
  approvals: Approvals;
  wrongPassphrases: WrongPassphrases;
  /** What needs an unlocker waits here for its turn: beyond what waits for one there, it would be refused as busy. */
  unlockers: Permits;
  clock: Clock;
}
