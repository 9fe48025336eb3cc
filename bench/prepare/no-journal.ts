import { Journal as Durable } from '../../src/policy/journal.ts';

export { Conflict, Locked, Unwritable } from '../../src/policy/journal.ts';

/** A journal that writes no audit row: what is decided is answered at once. Counters and pairings are written as ever. */
export class Journal extends Durable {
  override append(): void {}
}
